//! The decision engine as its callers see it: reasons one by one, random histories beside a naive oracle.
//!
//! The modules are marked as tests, so that the lints know that they may stop at the first surprise.

#[cfg(test)]
#[cfg(test)]
mod contradictions;
#[cfg(test)]
mod costs;
#[cfg(test)]
mod facts;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod named;
#[cfg(test)]
mod named_histories;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod reasons;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod sizes;
#[cfg(test)]
mod steps;
#[cfg(test)]
mod subtrees;
#[cfg(test)]
mod why;
