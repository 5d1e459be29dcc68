//! Access control in process, by names.
use canopy_domain::{Timestamp, access::AccessIndex};
use std::{error::Error, time::SystemTime};

fn main() -> Result<(), Box<dyn Error>> {
    let mut access = AccessIndex::builder()
        .permission("note.read")
        .permission("note.write")
        .role("Editor", ["note.read", "note.write"])
        .node("acme/eu/berlin")
        .grant("ada", "Editor", "acme/eu")
        .build()?;
    let now = Timestamp::try_from(SystemTime::now())?;
    println!("{:?}", access.decide("ada", "note.write", "acme/eu/berlin", now));

    access.revoke("ada", "Editor", "acme/eu")?;
    println!("{:?}", access.decide("ada", "note.write", "acme/eu/berlin", now));
    Ok(())
}
