-- The ledger: what guards its tables, and how one transfer is posted. docs/books.md says why it holds.
--
-- A transfer is inserted after its parts (entries, calls, refunds), in one transaction with them, and seals them: whatever
-- must be true of them is checked then, and no part can be added later. Derived numbers change in triggers only.
--
-- Locks, always in this order: the projector's advisory lock, the owner's chain, its leases, purses by id.
-- SQLSTATEs of our own: RC402 too little, RC403 forbidden, RC404 unknown, RC409 the ref is another's, RC410 fenced.

INSERT INTO flows (kind, debits, credits) VALUES
  ('deposit', '{tao_clearing}', '{cash}'),
  ('card', '{stripe_clearing}', '{cash}'),
  ('credit', '{operator_clearing}', '{cash}'),
  ('promo', '{promo_fund}', '{promo}'),
  ('capture', '{cash,promo}', '{pending,fee}'),
  ('refund', '{loss}', '{cash,promo}'),
  ('mature', '{pending}', '{payable}'),
  ('forfeit', '{pending,payable}', '{forfeited}'),
  ('payout_begin', '{payable}', '{in_flight}'),
  ('payout_paid', '{in_flight}', '{tao_clearing,operator_clearing}'),
  ('payout_failed', '{in_flight}', '{payable}');

-- ── what is on record stays ──

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% of % is forbidden: what is on record stays as it is', lower(tg_op), tg_table_name USING ERRCODE = 'RC403';
END $$;

CREATE FUNCTION refuse_by_hand() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF pg_trigger_depth() < 2 THEN
    RAISE EXCEPTION '% of % is forbidden: it follows from transfers, calls and leases', lower(tg_op), tg_table_name USING ERRCODE = 'RC403';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER transfers_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers EXECUTE FUNCTION refuse();
CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON entries EXECUTE FUNCTION refuse();
CREATE TRIGGER calls_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON calls EXECUTE FUNCTION refuse();
CREATE TRIGGER usage_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON usage EXECUTE FUNCTION refuse();
CREATE TRIGGER refunds_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON refunds EXECUTE FUNCTION refuse();
CREATE TRIGGER flows_stay BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON flows EXECUTE FUNCTION refuse();
CREATE TRIGGER prices_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON prices EXECUTE FUNCTION refuse();
CREATE TRIGGER rates_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON rates EXECUTE FUNCTION refuse();
CREATE TRIGGER payout_addresses_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON payout_addresses EXECUTE FUNCTION refuse();
CREATE TRIGGER purses_stay BEFORE DELETE OR TRUNCATE ON purses EXECUTE FUNCTION refuse();
CREATE TRIGGER purses_derived BEFORE UPDATE ON purses EXECUTE FUNCTION refuse_by_hand();
CREATE TRIGGER chains_stay BEFORE DELETE OR TRUNCATE ON chains EXECUTE FUNCTION refuse();
CREATE TRIGGER chains_derived BEFORE UPDATE ON chains EXECUTE FUNCTION refuse_by_hand();
CREATE TRIGGER unfolded_stay BEFORE UPDATE OR TRUNCATE ON unfolded EXECUTE FUNCTION refuse();
CREATE TRIGGER unfolded_derived BEFORE INSERT ON unfolded EXECUTE FUNCTION refuse_by_hand();
CREATE TRIGGER maturing_stay BEFORE TRUNCATE ON maturing EXECUTE FUNCTION refuse();
CREATE TRIGGER maturing_derived BEFORE INSERT OR UPDATE OR DELETE ON maturing EXECUTE FUNCTION refuse_by_hand();
CREATE TRIGGER leases_stay BEFORE DELETE OR TRUNCATE ON leases EXECUTE FUNCTION refuse();

-- Purses and chains begin empty.
CREATE TRIGGER purses_empty BEFORE INSERT ON purses FOR EACH ROW WHEN (new.posted <> 0 OR new.held <> 0) EXECUTE FUNCTION refuse();
CREATE TRIGGER chains_empty BEFORE INSERT ON chains FOR EACH ROW
  WHEN (new.n <> 0 OR new.hash <> decode(repeat('00', 32), 'hex')) EXECUTE FUNCTION refuse();

-- ── parts of a transfer ──

CREATE FUNCTION refuse_late_part() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  late uuid;
BEGIN
  SELECT t.id INTO late FROM made JOIN transfers t ON t.id = made.transfer_id LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'transfer % is sealed: % cannot be added to it', late, tg_table_name USING ERRCODE = 'RC403';
  END IF;
  RETURN NULL;
END $$;

-- Of one kind, for parts that only such a transfer checks.
CREATE FUNCTION require_transfer() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM transfers WHERE id = new.transfer_id AND tx = pg_current_xact_id() AND (tg_nargs = 0 OR kind = tg_argv[0])
  ) THEN
    RAISE EXCEPTION 'a row of % is part of no %transfer of its transaction', tg_table_name, coalesce(tg_argv[0] || ' ', '')
      USING ERRCODE = '23503';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER entries_late AFTER INSERT ON entries REFERENCING NEW TABLE AS made EXECUTE FUNCTION refuse_late_part();
CREATE TRIGGER calls_late AFTER INSERT ON calls REFERENCING NEW TABLE AS made EXECUTE FUNCTION refuse_late_part();
CREATE TRIGGER refunds_late AFTER INSERT ON refunds REFERENCING NEW TABLE AS made EXECUTE FUNCTION refuse_late_part();
CREATE CONSTRAINT TRIGGER entries_sealed AFTER INSERT ON entries DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION require_transfer();
CREATE CONSTRAINT TRIGGER calls_sealed AFTER INSERT ON calls DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (new.transfer_id IS NOT NULL) EXECUTE FUNCTION require_transfer('capture');
CREATE CONSTRAINT TRIGGER refunds_sealed AFTER INSERT ON refunds DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION require_transfer('refund');

-- ── what a capture and a refund must be ──

-- A miner's share of a cost, rounded down, without leaving bigint.
CREATE FUNCTION share_of(cost bigint, fee_bps int) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT cost / 10000 * (10000 - fee_bps) + cost % 10000 * (10000 - fee_bps) / 10000
$$;

CREATE FUNCTION capture_entries(capture uuid) RETURNS TABLE (purse_id text, amount bigint)
  LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT purse, sum(part)::bigint FROM (
    SELECT p.purse, p.part FROM calls c,
      LATERAL (VALUES ('cash/' || c.account_id, -c.cash_nanousd), ('promo/' || c.account_id, -c.promo_nanousd)) p (purse, part)
      WHERE c.transfer_id = capture
    UNION ALL
    SELECT p.purse, p.part FROM calls c JOIN usage u USING (call_id),
      LATERAL (VALUES ('pending/' || u.hotkey, u.share_nanousd), ('fee', u.cost_nanousd - u.share_nanousd)) p (purse, part)
      WHERE c.transfer_id = capture
  ) parts GROUP BY purse HAVING sum(part) <> 0
$$;

-- Cash comes back before promo.
CREATE FUNCTION refund_entries(refund uuid) RETURNS TABLE (purse_id text, amount bigint)
  LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT p.purse, p.part FROM (
    SELECT c.account_id, r.amount, least(before.amount + r.amount, c.cash_nanousd) - least(before.amount, c.cash_nanousd) AS cash
    FROM refunds r JOIN calls c USING (call_id), LATERAL (
      SELECT coalesce(sum(o.amount), 0)::bigint AS amount FROM refunds o JOIN transfers t ON t.id = o.transfer_id
      WHERE o.call_id = r.call_id AND o.transfer_id <> r.transfer_id
    ) before WHERE r.transfer_id = refund
  ) given, LATERAL (VALUES ('cash/' || account_id, cash), ('promo/' || account_id, given.amount - cash), ('loss', -given.amount)) p (purse, part)
  WHERE p.part <> 0
$$;

CREATE FUNCTION check_capture(t transfers) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wrong uuid;
BEGIN
  SELECT c.call_id INTO wrong FROM calls c LEFT JOIN LATERAL (
    SELECT count(*) AS n, sum(u.cost_nanousd) AS cost,
      bool_and(u.account_id = c.account_id AND u.share_nanousd = share_of(u.cost_nanousd, c.fee_bps)) AS fair
    FROM usage u WHERE u.call_id = c.call_id
  ) u ON true
  WHERE c.transfer_id = t.id AND (c.account_id <> t.owner OR u.n <> c.attempts OR u.cost IS DISTINCT FROM c.cost_nanousd OR NOT u.fair);
  IF FOUND THEN
    RAISE EXCEPTION 'call % is not what its attempts add up to', wrong USING ERRCODE = '23514';
  END IF;
  IF EXISTS (
    (SELECT purse_id, amount FROM entries WHERE transfer_id = t.id) EXCEPT (SELECT purse_id, amount FROM capture_entries(t.id))
  ) OR EXISTS (
    (SELECT purse_id, amount FROM capture_entries(t.id)) EXCEPT (SELECT purse_id, amount FROM entries WHERE transfer_id = t.id)
  ) THEN
    RAISE EXCEPTION 'capture % is not what its calls cost', t.id USING ERRCODE = '23514';
  END IF;
END $$;

CREATE FUNCTION check_refund(t transfers) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM refunds r JOIN calls c USING (call_id)
    WHERE r.transfer_id = t.id AND r.call_id = t.call_id AND c.account_id = t.owner
      AND (SELECT sum(o.amount) FROM refunds o WHERE o.call_id = r.call_id) <= c.cost_nanousd
  ) THEN
    RAISE EXCEPTION 'refund % is of no call of %, or beyond what the call cost', t.id, t.owner USING ERRCODE = 'RC402';
  END IF;
  IF EXISTS (
    (SELECT purse_id, amount FROM entries WHERE transfer_id = t.id) EXCEPT (SELECT purse_id, amount FROM refund_entries(t.id))
  ) OR EXISTS (
    (SELECT purse_id, amount FROM refund_entries(t.id)) EXCEPT (SELECT purse_id, amount FROM entries WHERE transfer_id = t.id)
  ) THEN
    RAISE EXCEPTION 'refund % does not go back where the money came from', t.id USING ERRCODE = '23514';
  END IF;
END $$;

-- ── a transfer ──

CREATE FUNCTION lock_chain(whose text) RETURNS chains LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  head chains;
BEGIN
  SELECT * INTO head FROM chains WHERE owner = whose FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO chains (owner) VALUES (whose) ON CONFLICT DO NOTHING;
    SELECT * INTO head FROM chains WHERE owner = whose FOR UPDATE;
  END IF;
  RETURN head;
END $$;

CREATE FUNCTION transfer_hash(t transfers) RETURNS bytea LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT sha256(convert_to(concat_ws(E'\n', 'ripcord transfer 1', t.id, t.kind, t.ref, t.owner, t.n, coalesce(t.call_id::text, '-'),
    to_json(t.reason), (extract(epoch FROM t.created_at) * 1000)::bigint, encode(t.prev_hash, 'hex'),
    (SELECT string_agg(purse_id || ' ' || amount, E'\n' ORDER BY purse_id COLLATE "C") FROM entries WHERE transfer_id = t.id)), 'UTF8'))
$$;

-- Before: may it be, and which link of its chain is it?
CREATE FUNCTION seal_transfer() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  head chains;
  flow flows;
  wrong text;
BEGIN
  head := lock_chain(new.owner);
  IF (SELECT count(*) < 2 OR sum(amount) <> 0 FROM entries WHERE transfer_id = new.id) THEN
    RAISE EXCEPTION 'transfer % does not have two entries or more that add up to zero', new.id USING ERRCODE = '23514';
  END IF;
  SELECT * INTO flow FROM flows WHERE kind = new.kind;
  SELECT purse_id INTO wrong FROM entries
    WHERE transfer_id = new.id AND split_part(purse_id, '/', 1) <> ALL (CASE WHEN amount < 0 THEN flow.debits ELSE flow.credits END);
  IF FOUND THEN
    RAISE EXCEPTION 'a transfer of kind % does not move money % %', new.kind, CASE WHEN wrong IN (
      SELECT purse_id FROM entries WHERE transfer_id = new.id AND amount < 0) THEN 'out of' ELSE 'into' END, wrong USING ERRCODE = '23514';
  END IF;
  -- The purses that are locked are under the owner's chain, or transfers could wait for each other in a circle.
  SELECT purse_id INTO wrong FROM entries
    WHERE transfer_id = new.id AND split_part(purse_id, '/', 2) NOT IN ('', new.owner) AND NOT (purse_id LIKE 'pending/%' AND amount > 0);
  IF FOUND THEN
    RAISE EXCEPTION 'purse % is not of %', wrong, new.owner USING ERRCODE = '23514';
  END IF;
  IF new.kind = 'capture' THEN PERFORM check_capture(new); END IF;
  IF new.kind = 'refund' THEN PERFORM check_refund(new); END IF;
  new.created_at := date_trunc('milliseconds', clock_timestamp());
  new.tx := pg_current_xact_id();
  new.n := head.n + 1;
  new.prev_hash := head.hash;
  new.hash := transfer_hash(new);
  RETURN new;
END $$;

-- After: the chain goes on, purses change. Nothing happens for a row that was not inserted.
CREATE FUNCTION carry_out_transfer() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  now_due record;
BEGIN
  UPDATE chains SET n = new.n, hash = new.hash WHERE owner = new.owner;
  INSERT INTO purses (id) SELECT purse_id FROM entries e
    WHERE transfer_id = new.id AND NOT EXISTS (SELECT FROM purses p WHERE p.id = e.purse_id) ORDER BY purse_id ON CONFLICT DO NOTHING;
  INSERT INTO unfolded (transfer_id, purse_id) SELECT e.transfer_id, e.purse_id FROM entries e JOIN purses p ON p.id = e.purse_id
    WHERE e.transfer_id = new.id AND p.lazy AND NOT (p.floor_zero AND e.amount < 0);
  FOR now_due IN SELECT e.purse_id, e.amount FROM entries e JOIN purses p ON p.id = e.purse_id
    WHERE e.transfer_id = new.id AND (NOT p.lazy OR (p.floor_zero AND e.amount < 0)) ORDER BY e.purse_id
  LOOP
    UPDATE purses SET posted = posted + now_due.amount WHERE id = now_due.purse_id;
    IF now_due.purse_id LIKE 'pending/%' THEN PERFORM take_oldest(now_due.purse_id, -now_due.amount); END IF;
  END LOOP;
  RETURN NULL;
END $$;

-- What leaves a pending purse leaves its oldest hours.
CREATE FUNCTION take_oldest(purse text, amount bigint) RETURNS void LANGUAGE sql SET search_path = public, pg_temp AS $$
  WITH hours AS (
    SELECT m.hour, sum(m.amount) OVER (ORDER BY m.hour) AS through FROM maturing m WHERE m.purse_id = purse
  ), emptied AS (
    DELETE FROM maturing m USING hours h WHERE m.purse_id = purse AND m.hour = h.hour AND h.through <= take_oldest.amount
  )
  UPDATE maturing m SET amount = h.through - take_oldest.amount FROM hours h
    WHERE m.purse_id = purse AND m.hour = h.hour AND h.through > take_oldest.amount AND h.through - m.amount < take_oldest.amount
$$;

CREATE TRIGGER transfers_seal BEFORE INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION seal_transfer();
CREATE TRIGGER transfers_carry_out AFTER INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION carry_out_transfer();

CREATE FUNCTION post_transfer(its_id uuid, its_kind text, its_ref text, whose text, parts jsonb, why text DEFAULT '') RETURNS uuid
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  known transfers;
BEGIN
  PERFORM lock_chain(whose);
  SELECT * INTO known FROM transfers WHERE ref = its_ref;
  IF FOUND THEN
    IF (known.kind, known.owner) = (its_kind, whose)
      AND (SELECT jsonb_object_agg(purse_id, amount) FROM entries WHERE transfer_id = known.id)
        = (SELECT jsonb_object_agg(key, value::bigint) FROM jsonb_each_text(parts)) THEN
      RETURN known.id;
    END IF;
    RAISE EXCEPTION 'ref % belongs to another transfer, %', its_ref, known.id USING ERRCODE = 'RC409';
  END IF;
  INSERT INTO entries (transfer_id, purse_id, amount) SELECT its_id, key, value::bigint FROM jsonb_each_text(parts);
  INSERT INTO transfers (id, kind, ref, owner, reason) VALUES (its_id, its_kind, its_ref, whose, why);
  RETURN its_id;
END $$;

-- ── credits that wait, and earnings ──

-- Whoever folds or matures does so alone.
CREATE FUNCTION lock_projector() RETURNS void LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock(7418255) $$;

-- To fold an entry is to take it out of the queue.
CREATE FUNCTION fold() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  due record;
BEGIN
  FOR due IN SELECT purse_id, sum(e.amount) AS amount FROM gone JOIN entries e USING (transfer_id, purse_id) GROUP BY purse_id ORDER BY purse_id
  LOOP
    UPDATE purses SET posted = posted + due.amount WHERE id = due.purse_id;
  END LOOP;
  INSERT INTO maturing AS m (purse_id, hour, amount)
    SELECT purse_id, date_trunc('hour', t.created_at, 'UTC'), sum(e.amount)
    FROM gone JOIN entries e USING (transfer_id, purse_id) JOIN transfers t ON t.id = transfer_id
    WHERE purse_id LIKE 'pending/%' GROUP BY 1, 2
    ON CONFLICT (purse_id, hour) DO UPDATE SET amount = m.amount + excluded.amount;
  RETURN NULL;
END $$;

CREATE TRIGGER unfolded_fold AFTER DELETE ON unfolded REFERENCING OLD TABLE AS gone EXECUTE FUNCTION fold();

CREATE FUNCTION fold_entries(most int) RETURNS int LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  folded int;
BEGIN
  PERFORM lock_projector();
  DELETE FROM unfolded WHERE ctid = ANY (ARRAY(SELECT ctid FROM unfolded LIMIT most));
  GET DIAGNOSTICS folded = ROW_COUNT;
  RETURN folded;
END $$;

-- Every entry waits 72 hours at least: an hour is ripe when its last entry is.
CREATE FUNCTION mature_earnings(at timestamptz, most int) RETURNS int LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  ripe record;
  id uuid;
  miners int := 0;
BEGIN
  PERFORM lock_projector();
  FOR ripe IN SELECT split_part(purse_id, '/', 2) AS hotkey, sum(amount) AS amount FROM maturing
    WHERE hour <= at - interval '73 hours' GROUP BY 1 ORDER BY 1 LIMIT most
  LOOP
    id := gen_random_uuid();
    PERFORM post_transfer(id, 'mature', 'mature/' || id, ripe.hotkey,
      jsonb_build_object('pending/' || ripe.hotkey, -ripe.amount, 'payable/' || ripe.hotkey, ripe.amount));
    miners := miners + 1;
  END LOOP;
  RETURN miners;
END $$;

CREATE FUNCTION forfeit(hotkey text, why text, its_ref text) RETURNS bigint LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  known uuid;
  parts jsonb;
  total bigint;
BEGIN
  PERFORM lock_projector();
  PERFORM lock_chain(hotkey);
  SELECT id INTO known FROM transfers WHERE ref = its_ref AND kind = 'forfeit' AND owner = hotkey;
  IF FOUND THEN
    RETURN (SELECT amount FROM entries WHERE transfer_id = known AND purse_id = 'forfeited');
  END IF;
  DELETE FROM unfolded WHERE purse_id = 'pending/' || hotkey;
  SELECT jsonb_object_agg(id, -posted), sum(posted) INTO parts, total FROM purses
    WHERE id IN ('pending/' || hotkey, 'payable/' || hotkey) AND posted > 0;
  IF total IS NULL THEN
    RETURN 0;
  END IF;
  PERFORM post_transfer(gen_random_uuid(), 'forfeit', its_ref, hotkey, parts || jsonb_build_object('forfeited', total), why);
  RETURN total;
END $$;
