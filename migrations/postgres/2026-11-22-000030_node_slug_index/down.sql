DROP INDEX nodes_by_slug;
