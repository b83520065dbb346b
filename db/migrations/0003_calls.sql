-- Leases and what is spent of them: credit flows outward in leases, closed calls flow back in batches.

-- ── leases ──

CREATE FUNCTION guard_lease() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF tg_op = 'INSERT' THEN
    IF new.state <> 'open' OR new.cash_spent <> 0 OR new.promo_spent <> 0 THEN
      RAISE EXCEPTION 'a lease begins open and unspent' USING ERRCODE = 'RC403';
    END IF;
    RETURN new;
  END IF;
  IF (new.account_id, new.epoch, new.opened_at) <> (old.account_id, old.epoch, old.opened_at) OR new.n < old.n
    OR old.state = 'closed' OR (old.state = 'closing' AND new.state = 'open') THEN
    RAISE EXCEPTION 'lease % of % does not go back', old.epoch, old.account_id USING ERRCODE = 'RC403';
  END IF;
  IF (new.cash_spent, new.promo_spent) <> (old.cash_spent, old.promo_spent) AND pg_trigger_depth() < 2 THEN
    RAISE EXCEPTION 'what is spent of a lease follows from its calls' USING ERRCODE = 'RC403';
  END IF;
  RETURN new;
END $$;

-- What is unspent of a lease that is not closed is held in its purses.
CREATE FUNCTION hold_lease() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  cash bigint := CASE WHEN new.state = 'closed' THEN 0 ELSE new.cash_amount - new.cash_spent END;
  promo bigint := CASE WHEN new.state = 'closed' THEN 0 ELSE new.promo_amount - new.promo_spent END;
BEGIN
  IF tg_op = 'UPDATE' AND old.state <> 'closed' THEN
    cash := cash - (old.cash_amount - old.cash_spent);
    promo := promo - (old.promo_amount - old.promo_spent);
  END IF;
  IF cash <> 0 THEN PERFORM hold('cash/' || new.account_id, cash); END IF;
  IF promo <> 0 THEN PERFORM hold('promo/' || new.account_id, promo); END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION hold(purse text, amount bigint) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE purses SET held = held + amount WHERE id = purse;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no purse %', purse USING ERRCODE = 'RC402';
  END IF;
END $$;

CREATE TRIGGER leases_guard BEFORE INSERT OR UPDATE ON leases FOR EACH ROW EXECUTE FUNCTION guard_lease();
CREATE TRIGGER leases_hold AFTER INSERT OR UPDATE ON leases FOR EACH ROW EXECUTE FUNCTION hold_lease();

CREATE FUNCTION lease_move(account text, its_epoch int, its_n int, cash bigint, promo bigint, want bigint) RETURNS jsonb
  LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  lease leases;
  free jsonb;
  fits boolean;
BEGIN
  PERFORM lock_chain(account);
  SELECT * INTO lease FROM leases WHERE account_id = account ORDER BY epoch DESC LIMIT 1 FOR UPDATE;
  IF its_epoch > coalesce(lease.epoch, 0) AND its_n = 1 THEN
    UPDATE leases SET state = 'closing' WHERE account_id = account AND state = 'open';
    INSERT INTO leases (account_id, epoch, n) VALUES (account, its_epoch, 0) RETURNING * INTO lease;
  END IF;
  fits := coalesce(lease.epoch = its_epoch AND lease.state = 'open' AND its_n IN (lease.n, lease.n + 1), false);
  INSERT INTO purses (id) VALUES ('cash/' || account), ('promo/' || account) ON CONFLICT DO NOTHING;
  IF fits AND its_n = lease.n + 1 THEN
    IF want > 0 THEN
      free := available(account);
      promo := least(want, (free ->> 'promo')::bigint);
      cash := least(want - promo, (free ->> 'cash')::bigint);
    ELSIF want < 0 AND cash >= 0 AND promo >= 0 THEN
      cash := -cash;
      promo := -promo;
    ELSIF want = 0 THEN
      cash := 0;
      promo := 0;
    ELSE
      RAISE EXCEPTION 'what is given back is not below zero' USING ERRCODE = '22023';
    END IF;
    UPDATE leases SET n = its_n, cash_amount = cash_amount + cash, promo_amount = promo_amount + promo, touched_at = now()
      WHERE account_id = account AND epoch = its_epoch RETURNING * INTO lease;
  END IF;
  free := available(account);
  RETURN jsonb_build_object('kind', CASE WHEN fits THEN 'ok' ELSE 'stale' END, 'epoch', coalesce(lease.epoch, 0), 'n', coalesce(lease.n, 0),
    'cash_amount', coalesce(lease.cash_amount, 0)::text, 'promo_amount', coalesce(lease.promo_amount, 0)::text,
    'cash_available', free ->> 'cash', 'promo_available', free ->> 'promo');
END $$;

-- What an account has outside of its leases; nobody else changes it until this transaction ends.
CREATE FUNCTION available(account text) RETURNS jsonb LANGUAGE sql SET search_path = public, pg_temp AS $$
  SELECT jsonb_object_agg(kind, free) FROM (
    SELECT kind, (posted - held)::text AS free FROM purses WHERE id IN ('cash/' || account, 'promo/' || account) ORDER BY id FOR UPDATE
  ) locked
$$;

CREATE FUNCTION fence_lease(account text, its_epoch int) RETURNS jsonb LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  lease leases;
BEGIN
  PERFORM lock_chain(account);
  SELECT * INTO lease FROM leases WHERE account_id = account AND epoch = its_epoch FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'account % has no lease %', account, its_epoch USING ERRCODE = 'RC404';
  END IF;
  IF lease.state = 'closed' THEN
    RETURN jsonb_build_object('cash', '0', 'promo', '0');
  END IF;
  UPDATE leases SET state = 'closed', touched_at = now() WHERE account_id = account AND epoch = its_epoch;
  RETURN jsonb_build_object('cash', (lease.cash_amount - lease.cash_spent)::text, 'promo', (lease.promo_amount - lease.promo_spent)::text);
END $$;

-- ── closed calls ──

CREATE FUNCTION spend_leases() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  spent record;
BEGIN
  FOR spent IN SELECT account_id, lease_epoch, sum(cash_nanousd) AS cash, sum(promo_nanousd) AS promo FROM made
    WHERE cost_nanousd > 0 GROUP BY 1, 2 ORDER BY 1, 2
  LOOP
    PERFORM lock_chain(spent.account_id);
    UPDATE leases SET cash_spent = cash_spent + spent.cash, promo_spent = promo_spent + spent.promo, touched_at = now()
      WHERE account_id = spent.account_id AND epoch = spent.lease_epoch AND state IN ('open', 'closing');
    IF NOT FOUND THEN
      RAISE EXCEPTION 'lease % of % is closed', spent.lease_epoch, spent.account_id USING ERRCODE = 'RC410';
    END IF;
  END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER calls_spend AFTER INSERT ON calls REFERENCING NEW TABLE AS made EXECUTE FUNCTION spend_leases();

-- An attempt comes with its call; one that cost something, before the capture.
CREATE FUNCTION refuse_late_usage() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  late uuid;
BEGIN
  SELECT made.call_id INTO late FROM made LEFT JOIN calls c USING (call_id) LEFT JOIN transfers t ON t.id = c.transfer_id
    WHERE c.call_id IS NULL OR t.id IS NOT NULL OR (made.cost_nanousd > 0 AND c.transfer_id IS NULL) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'an attempt of call % comes without its call', late USING ERRCODE = '23514';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER usage_late AFTER INSERT ON usage REFERENCING NEW TABLE AS made EXECUTE FUNCTION refuse_late_usage();

CREATE FUNCTION flush_calls(batch jsonb) RETURNS jsonb LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  payer text;
  capture uuid;
  fresh jsonb;
  taken int := 0;
BEGIN
  FOR payer IN SELECT DISTINCT r ->> 'accountId' FROM jsonb_array_elements(batch) r ORDER BY 1
  LOOP
    PERFORM lock_chain(payer);
    SELECT jsonb_agg(r) INTO fresh FROM (
      SELECT DISTINCT ON ((r ->> 'callId')::uuid) r FROM jsonb_array_elements(batch) WITH ORDINALITY each (r, place)
      WHERE r ->> 'accountId' = payer
        AND NOT EXISTS (SELECT FROM calls c WHERE c.call_id = (r ->> 'callId')::uuid AND c.account_id = payer)
      ORDER BY (r ->> 'callId')::uuid, place
    ) unknown;
    CONTINUE WHEN fresh IS NULL;
    taken := taken + jsonb_array_length(fresh);
    capture := gen_random_uuid();
    INSERT INTO calls (call_id, kind, account_id, key_id, chute_id, version, opened_at, closed_at, state, code, hold_nanousd, cost_nanousd,
        cash_nanousd, promo_nanousd, price_version, fee_bps, lease_epoch, attempts, waited_ms, cold, transfer_id)
      SELECT c."callId", c.kind, c."accountId", c."keyId", c."chuteId", c.version, to_timestamp(c."openedAt" / 1000.0),
        to_timestamp(c."closedAt" / 1000.0), c.state, c.code, c."holdNanousd", c."costNanousd", c."cashNanousd", c."promoNanousd",
        c."priceVersion", c."feeBps", c."leaseEpoch", jsonb_array_length(c.attempts), c."waitedMs", c.cold,
        CASE WHEN c."costNanousd" <> 0 THEN capture END
      FROM jsonb_to_recordset(fresh) AS c ("callId" uuid, kind text, "accountId" text, "keyId" text, "chuteId" text, version text,
        "openedAt" bigint, "closedAt" bigint, state text, code text, "holdNanousd" bigint, "costNanousd" bigint, "cashNanousd" bigint,
        "promoNanousd" bigint, "priceVersion" text, "feeBps" int, "leaseEpoch" int, attempts jsonb, "waitedMs" int, cold boolean);
    INSERT INTO usage (call_id, attempt, account_id, key_id, chute_id, version, instance_id, agent_id, hotkey, outcome, code, bytes,
        tokens_in, tokens_out, started_at, first_byte_ms, last_byte_ms, cost_nanousd, receipt, status, cached_in, waited_ms, cold, region,
        share_nanousd)
      SELECT (c ->> 'callId')::uuid, a.attempt, a."accountId", a."keyId", a."chuteId", a.version, a."instanceId", a."agentId", a.hotkey,
        a.outcome, a.code, a.bytes, a."tokensIn", a."tokensOut", to_timestamp(a."startedAt" / 1000.0), a."firstByteMs", a."lastByteMs",
        a."costNanousd", a.receipt, a.status, a."cachedIn", a."waitedMs", a.cold, a.region, a."shareNanousd"
      FROM jsonb_array_elements(fresh) c, jsonb_to_recordset(c -> 'attempts') AS a (attempt smallint, "accountId" text, "keyId" text,
        "chuteId" text, version text, "instanceId" text, "agentId" text, hotkey text, outcome text, code text, bytes bigint,
        "tokensIn" bigint, "tokensOut" bigint, "startedAt" bigint, "firstByteMs" int, "lastByteMs" int, "costNanousd" bigint, receipt jsonb,
        status smallint, "cachedIn" bigint, "waitedMs" int, cold boolean, region text, "shareNanousd" bigint);
    INSERT INTO entries (transfer_id, purse_id, amount) SELECT capture, purse_id, amount FROM capture_entries(capture);
    IF FOUND THEN
      INSERT INTO transfers (id, kind, ref, owner) VALUES (capture, 'capture', 'capture/' || capture, payer);
    END IF;
  END LOOP;
  RETURN jsonb_build_object('taken', taken, 'known', jsonb_array_length(batch) - taken);
END $$;

-- ── refunds ──

-- Null: all that is left.
CREATE FUNCTION refund_call(call uuid, part bigint, its_ref text, why text) RETURNS uuid LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  paid calls;
  known record;
  id uuid := gen_random_uuid();
BEGIN
  SELECT * INTO paid FROM calls WHERE call_id = call;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'there is no call %', call USING ERRCODE = 'RC404';
  END IF;
  PERFORM lock_chain(paid.account_id);
  SELECT t.id, r.call_id, r.amount INTO known FROM transfers t LEFT JOIN refunds r ON r.transfer_id = t.id WHERE t.ref = its_ref;
  IF FOUND THEN
    IF known.call_id = call AND known.amount = coalesce(part, known.amount) THEN RETURN known.id; END IF;
    RAISE EXCEPTION 'ref % belongs to another transfer, %', its_ref, known.id USING ERRCODE = 'RC409';
  END IF;
  part := coalesce(part, paid.cost_nanousd - (SELECT coalesce(sum(amount), 0) FROM refunds WHERE call_id = call));
  IF part <= 0 THEN
    RAISE EXCEPTION 'there is nothing to give back of call %', call USING ERRCODE = 'RC402';
  END IF;
  INSERT INTO refunds (transfer_id, call_id, amount) VALUES (id, call, part);
  INSERT INTO entries (transfer_id, purse_id, amount) SELECT id, purse_id, amount FROM refund_entries(id);
  INSERT INTO transfers (id, kind, ref, owner, call_id, reason) VALUES (id, 'refund', its_ref, paid.account_id, call, why);
  RETURN id;
END $$;
