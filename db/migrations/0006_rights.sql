-- The ledger works with its owner's rights, so that whoever uses it needs none on its tables: see docs/books.md.

ALTER FUNCTION seal_transfer() SECURITY DEFINER;
ALTER FUNCTION carry_out_transfer() SECURITY DEFINER;
ALTER FUNCTION refuse_late_part() SECURITY DEFINER;
ALTER FUNCTION require_transfer() SECURITY DEFINER;
ALTER FUNCTION fold() SECURITY DEFINER;
ALTER FUNCTION hold_lease() SECURITY DEFINER;
ALTER FUNCTION spend_leases() SECURITY DEFINER;
ALTER FUNCTION refuse_late_usage() SECURITY DEFINER;
ALTER FUNCTION post_transfer(uuid, text, text, text, jsonb, text) SECURITY DEFINER;
ALTER FUNCTION refund_call(uuid, bigint, text, text) SECURITY DEFINER;
ALTER FUNCTION fold_entries(int) SECURITY DEFINER;
ALTER FUNCTION mature_earnings(timestamptz, int) SECURITY DEFINER;
ALTER FUNCTION forfeit(text, text, text) SECURITY DEFINER;
ALTER FUNCTION lease_move(text, int, int, bigint, bigint, bigint) SECURITY DEFINER;
ALTER FUNCTION fence_lease(text, int) SECURITY DEFINER;
ALTER FUNCTION flush_calls(jsonb) SECURITY DEFINER;
ALTER FUNCTION check_books(text) SECURITY DEFINER;

-- Postgres lets everybody call a new function.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
