//! Test support for Canopy: the storage contract suite, fixtures and an in-process server.
