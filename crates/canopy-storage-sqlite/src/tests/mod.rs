//! Tests of this adapter alone, with access to its private parts: pragmas, migrations, plans, a full disk.

mod damage;
mod deadline;
mod full_disk;
mod migrations;
mod plans;
mod pragmas;
