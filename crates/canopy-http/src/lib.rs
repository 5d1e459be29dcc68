//! The HTTP adapter of Canopy: routes, wire types, authentication, problem mapping and OpenAPI.
