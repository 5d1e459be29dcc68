//! The storage contract: the behaviour of every store, clause by clause. A clause is a small test on its own empty
//! store.
//!
//! A store runs the whole suite from one file in its `tests` folder:
//!
//! ```no_run
//! use canopy_storage_memory::MemoryStore;
//!
//! // An empty store for one test, removed on drop.
//! async fn fresh_store() -> MemoryStore {
//!     MemoryStore::new()
//! }
//! canopy_conformance::storage_contract!(fresh_store);
//! ```
//!
//! A new clause is a `pub async fn` that takes a [`TestStore`] in the file of its area, and its name in the list below.
//! A test checks that the list is complete.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    missing_docs,
    reason = "tests: a surprise is a failed test, and a clause's name says what it is about"
)]

pub mod access;
pub mod api_key;
pub mod assignment;
pub mod assignment_listing;
pub mod audit;
pub mod change_set;
pub mod hierarchy;
pub mod idempotency;
pub mod identity;
pub mod identity_change;
pub mod identity_listing;
pub mod installation;
pub mod membership;
pub mod names;
pub mod node_people;
pub mod permission;
pub mod revocation;
pub mod role;
pub mod subtree;
mod support;
pub mod tenancy;
pub mod unit_of_work;

pub use support::TestStore;

/// Expands to one test for each clause of the storage contract. Its argument is the name of an `async fn` in
/// scope that gives a fresh store: anything that implements [`RowStore`](canopy_domain::port::RowStore). The crate that
/// uses it depends on tokio with the features `macros` and `rt-multi-thread`.
///
/// A second argument names an `async fn` to define, which runs every clause in one process: for what is to be seen only
/// after all of them.
#[macro_export]
macro_rules! storage_contract {
    ($fresh:ident $(, $whole:ident)?) => {
        $crate::storage_contract! { @areas $fresh [$($whole)?];
            tenancy {
                an_account_reads_back_as_it_was_written
                an_application_reads_back_with_and_without_a_default_environment
                updating_an_application_overwrites_its_row
                an_environment_reads_back_with_its_schema
                an_environment_knows_its_place
                tenants_are_listed_by_slug_byte_for_byte
                a_taken_tenant_slug_is_a_duplicate_and_the_unit_of_work_goes_on
                changing_a_tenant_to_a_taken_slug_is_a_duplicate
                a_tenant_id_minted_twice_is_a_duplicate_id
                a_tenant_without_a_parent_is_refused
                changing_a_tenant_that_is_not_there_is_refused
                tenants_that_are_not_there_are_none_and_their_listings_empty
                slugs_lead_only_to_what_lies_below
                updating_an_account_overwrites_its_row
                deleting_environments_leaves_nothing_of_them
                the_default_environment_is_not_deleted
                deleting_an_application_takes_its_memberships
            }
            permission {
                a_permission_reads_back_as_it_was_written
                permissions_are_listed_by_key_byte_for_byte
                a_taken_permission_key_is_a_duplicate_and_the_unit_of_work_goes_on
                a_permission_id_minted_twice_is_a_duplicate_id
                a_permission_of_no_environment_is_refused
                permission_filters_narrow_the_listing
                permission_search_takes_every_character_as_it_is_and_folds_case
                permission_ids_are_found_by_exact_key
                forty_thousand_permissions_are_stored_and_found_in_one_call
                permissions_of_one_environment_are_nothing_to_another
                updating_permissions_overwrites_what_can_change
                changing_a_permission_that_is_not_there_is_refused
                deleting_permissions_takes_them_from_all_roles
            }
            role {
                a_role_reads_back_as_it_was_written
                roles_are_listed_by_folded_name_with_their_counts
                role_filters_narrow_the_listing
                a_taken_role_name_is_a_duplicate_whatever_its_case
                a_role_id_minted_twice_is_a_duplicate_id
                updating_roles_overwrites_their_rows_and_keeps_what_they_bundle
                changing_a_role_that_is_not_there_is_refused
                a_role_of_no_environment_is_refused
                what_a_role_bundles_is_listed_by_key
                binding_again_and_unbinding_what_is_not_bound_change_nothing
                roles_bundle_only_permissions_of_their_environment
                forty_thousand_bindings_are_stored_and_removed_in_one_call
                roles_of_one_environment_are_nothing_to_another
                roles_that_bundle_a_permission_are_found_by_id
                deleting_roles_takes_what_they_bundle_with_them
                a_role_that_is_assigned_is_not_deleted
                the_catalog_holds_all_permissions_and_roles_of_its_environment
                setup_summaries_say_how_far_each_environment_is
            }
            hierarchy {
                a_node_reads_back_as_it_was_written
                the_tree_lists_parents_before_children_and_siblings_by_slug
                a_taken_node_slug_is_a_duplicate_and_the_unit_of_work_goes_on
                a_large_set_of_nodes_is_stored_as_a_whole_or_not_at_all
                the_bytes_of_nodes_are_those_of_their_texts
                a_node_id_minted_twice_is_a_duplicate_id
                a_node_stands_only_below_a_node_of_its_environment
                updating_nodes_overwrites_their_rows
                changing_a_node_that_is_not_there_is_refused
                node_facts_tell_type_and_depth_of_the_parents_there_are
                node_facts_tell_taken_slugs_that_are_equal_or_go_on_with_a_hyphen
                forty_thousand_nodes_are_stored_and_asked_about_in_one_call
                the_shape_of_a_tree_names_each_combination_of_types_once
                a_node_of_the_roots_type_below_another_is_no_root_edge
                the_shape_of_a_lonely_root_has_no_edges
                a_tree_without_a_root_is_corrupt
                a_second_root_is_refused
                nodes_of_one_environment_are_nothing_to_another
                deleting_nodes_takes_a_whole_subtree_at_once
                a_node_that_something_stands_on_is_not_deleted
            }
            subtree {
                children_are_listed_by_slug_and_ancestors_root_first
                a_subtree_lists_parents_before_children_and_siblings_by_slug
                a_subtree_knows_its_height_and_a_node_what_hangs_on_it
                a_moved_node_takes_all_below_it_along
                deleting_nodes_takes_a_whole_branch_and_passes_over_what_is_not_there
                deleting_a_node_that_something_hangs_on_is_refused
                forty_thousand_nodes_are_read_and_deleted_in_one_call
                subtrees_of_one_environment_are_nothing_to_another
            }
            idempotency {
                an_answer_is_told_to_its_own_request_alone
                an_answer_is_told_no_longer_than_it_counts
                a_request_is_answered_by_one_unit_of_work_at_a_time
                a_unit_of_work_that_is_dropped_keeps_no_answer
                an_answer_kept_again_replaces_the_outdated_one
                outdated_answers_are_forgotten_without_a_write
                kept_answers_are_summed_for_each_tenant_and_hour
                old_change_records_are_deleted_but_the_newest
            }
            identity {
                an_identity_reads_back_as_it_was_written
                a_taken_email_is_a_duplicate_and_the_unit_of_work_goes_on
                a_taken_external_id_is_a_duplicate_byte_for_byte
                an_identity_id_minted_twice_is_a_duplicate_id
                an_identity_of_no_account_is_refused
                taken_identifiers_are_those_of_the_account_alone
                forty_thousand_identities_are_stored_and_found_in_one_call
                identity_facts_tell_switch_and_membership_of_those_the_account_has
                identities_of_one_account_are_nothing_to_another
            }
            identity_change {
                updating_an_identity_overwrites_its_row
                changing_an_identity_to_a_taken_identifier_is_a_duplicate
                changing_an_identity_that_is_not_there_is_refused
                a_deleted_identity_goes_with_its_memberships_and_frees_its_identifiers
                an_identity_that_holds_an_assignment_is_not_deleted
            }
            identity_listing {
                identity_filters_narrow_the_listing
                identity_search_takes_every_character_as_it_is_and_folds_case
                identities_are_sorted_both_ways_with_ties_broken_by_id
                pages_of_identities_are_disjoint_and_complete
                identities_are_counted_by_switch_membership_and_what_they_hold
            }
            membership {
                a_membership_reads_back_in_every_state
                memberships_of_an_identity_are_listed_by_application
                a_second_membership_is_a_duplicate_and_the_unit_of_work_goes_on
                a_membership_of_nobody_or_nothing_is_refused
                changing_a_membership_that_is_not_there_is_refused
                members_are_all_who_ever_joined_the_application
            }
            names {
                identities_are_found_by_each_of_their_names
                nodes_are_found_by_the_way_from_the_root
                a_slug_leads_to_a_node_where_it_is_the_only_one_of_the_type
                a_node_knows_its_way_and_whether_others_have_its_slug
                forty_thousand_names_are_looked_up_in_one_call
            }
            assignment {
                an_assignment_reads_back_as_it_was_written
                a_taken_triple_is_a_duplicate_and_the_unit_of_work_goes_on
                an_assignment_names_a_role_and_a_node_of_its_environment
                an_identity_of_another_account_is_never_assigned
                an_identity_without_a_membership_is_never_assigned
                assignment_facts_tell_only_what_the_place_has
                assignments_are_found_by_id_in_their_environment_alone
                updating_assignments_overwrites_their_rows
                renaming_what_an_assignment_joins_keeps_it
                two_assignments_may_swap_what_they_join
                moving_an_assignment_onto_another_is_a_duplicate_and_changes_nothing
                changing_an_assignment_that_is_not_there_is_refused
                deleting_passes_over_assignments_that_are_not_there
                assignments_are_found_by_the_roles_and_nodes_they_name
                forty_thousand_assignments_are_stored_changed_and_deleted_in_one_call
            }
            assignment_listing {
                a_listed_assignment_shows_whom_what_and_where
                state_changes_at_the_borders_to_the_millisecond
                a_window_without_an_end_never_expires
                expiring_soon_means_exactly_seven_days
                assignment_filters_narrow_the_listing
                assignment_search_looks_at_identity_role_and_node
                assignments_are_sorted_both_ways_with_ties_broken_by_id
                pages_of_assignments_are_disjoint_and_complete
                the_number_of_assignments_is_exact_after_every_change
            }
            node_people {
                an_assignment_holds_at_its_node_and_below_and_says_which_it_is
                held_assignments_are_filtered_searched_sorted_and_paged
                assignments_at_nodes_are_those_made_there
                a_node_counts_what_holds_at_it_and_names_the_newest
                what_holds_at_a_node_is_nothing_to_another_environment
            }
            revocation {
                what_an_identity_holds_is_listed_by_role_in_the_asked_environments_alone
                revoking_takes_all_that_one_identity_holds_in_the_asked_environments
                standings_name_every_environment_of_the_applications_that_were_joined
                the_environments_that_have_a_node_are_found_among_those_asked_about
                ending_a_membership_never_leaves_an_assignment_that_is_made_beside_it
                deleting_an_identity_leaves_nothing_of_what_is_made_beside_it
            }
            api_key {
                an_api_key_reads_back_as_it_was_written
                api_keys_are_listed_newest_first_with_ties_broken_by_id
                a_digest_leads_to_its_key_and_to_the_place_of_its_environment
                an_api_key_id_minted_twice_is_a_duplicate_id
                two_api_keys_with_one_digest_are_refused
                an_api_key_of_no_environment_is_refused
                an_api_key_takes_another_end_and_keeps_the_rest
                a_deleted_api_key_is_gone_with_its_digest
                a_snapshot_holds_the_api_keys_of_its_environment
                the_use_of_an_api_key_is_noted_without_a_revision_and_never_moves_back
                api_keys_of_one_environment_are_nothing_to_another
            }
            access {
                an_environment_starts_at_revision_zero_and_its_first_commit_is_one
                each_commit_takes_the_next_revision_of_the_environments_it_names
                a_commit_that_names_no_environment_that_is_there_leaves_nothing
                changes_read_back_as_they_were_written_and_in_order
                a_change_of_forty_thousand_steps_reads_back_whole
                change_records_are_read_in_parts_bounded_by_bytes
                environments_share_one_change_record
                the_size_of_a_snapshot_is_known_before_it_is_read
                a_snapshot_holds_all_facts_of_its_environment_and_no_others
                the_feed_of_changes_leads_to_the_snapshot
                the_feed_of_changes_is_read_at_the_snapshots_revision
            }
            audit {
                an_audit_event_reads_back_as_it_was_written
                an_audit_event_has_the_revision_of_the_environment_it_names
                audit_events_are_listed_newest_first_within_their_account
                appended_audit_events_read_back_without_a_revision
                audit_events_are_appended_all_or_none
                an_audit_event_is_found_by_id_in_its_account_alone
                details_of_an_audit_event_are_read_part_by_part_in_their_account_alone
                audit_filters_narrow_the_listing
                a_listing_of_audit_events_ends_where_they_are_large
                a_listing_of_audit_events_looks_at_no_more_than_it_is_told
                the_parts_of_a_listing_of_audit_events_are_disjoint_and_complete
            }
            installation {
                signing_keys_read_back_oldest_first
                a_signing_key_that_is_registered_again_keeps_its_bytes_and_the_later_instant
                signing_keys_end_by_age_and_by_number
                a_secret_is_that_of_whoever_asked_first
                all_who_ask_for_a_secret_at_once_are_given_the_same
            }
            change_set {
                the_changes_of_any_change_sets_lead_to_what_is_stored
                a_change_set_frees_names_before_it_takes_them
            }
            unit_of_work {
                dropping_a_unit_of_work_leaves_nothing_of_it
                dropping_a_unit_of_work_frees_its_lock_at_once
                a_cancelled_write_leaves_nothing_and_frees_its_lock
                a_writer_sees_its_own_writes_and_readers_do_not
                a_reader_keeps_one_state_through_all_of_its_reads
                several_readers_read_at_the_same_time_as_a_writer
                writers_of_one_environment_are_serialised
                an_account_gets_no_more_turns_with_five_environments_than_with_one
                writers_of_every_scope_get_their_turn
                of_two_racing_writers_of_one_slug_one_wins
                empty_sets_are_no_work
                changing_a_row_twice_in_one_call_is_refused
                many_refusals_leave_the_unit_of_work_usable
                a_store_that_works_answers_a_ping
            }
        }
    };
    (@areas $fresh:ident [$whole:ident]; $($area:ident { $($clause:ident)+ })+) => {
        $crate::storage_contract! { @areas $fresh []; $($area { $($clause)+ })+ }

        /// Runs every clause, one after the other, each on a fresh store.
        async fn $whole() {
            type Clause = fn() -> ::core::pin::Pin<::std::boxed::Box<dyn ::core::future::Future<Output = ()>>>;
            // Each closure has a frame of its own: together, the futures are too large for a stack.
            let clauses: &[Clause] = &[$($(
                || ::std::boxed::Box::pin(async {
                    let store: $crate::contract::TestStore = ::std::sync::Arc::new($fresh().await);
                    $crate::contract::$area::$clause(store).await;
                }),
            )+)+];
            for clause in clauses {
                clause().await;
            }
        }
    };
    (@areas $fresh:ident []; $($area:ident { $($clause:ident)+ })+) => {
        $(mod $area {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $clause() {
                let store: $crate::contract::TestStore = ::std::sync::Arc::new(super::$fresh().await);
                $crate::contract::$area::$clause(store).await;
            })+
        })+
    };
}
