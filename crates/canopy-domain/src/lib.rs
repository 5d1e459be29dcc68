//! The core of Canopy: values, entities, rules, the decision engine and the port traits.
