//! What only this adapter has to show, from the inside: pragmas, migrations, plans, a full disk.

mod damage;
mod deadline;
mod full_disk;
mod migrations;
mod plans;
mod pragmas;
