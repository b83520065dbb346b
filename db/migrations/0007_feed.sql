-- Rates by the edge's own feed: their source says `median of` and names.

CREATE FUNCTION feed_due(its_asset text, rest_ms bigint) RETURNS boolean LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT NOT EXISTS (
    SELECT FROM rates WHERE asset = its_asset AND source LIKE 'median of %' AND at > now() - rest_ms * interval '1 millisecond')
$$;

-- One of several at once: whoever waited for the lock sees the rate of who had it.
CREATE FUNCTION feed_rate(its_asset text, price bigint, names text, rest_ms bigint) RETURNS boolean LANGUAGE plpgsql
  SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(7418256);
  INSERT INTO rates (asset, nanousd, source, at) SELECT its_asset, price, 'median of ' || names, now() WHERE feed_due(its_asset, rest_ms);
  RETURN FOUND;
END $$;

REVOKE EXECUTE ON FUNCTION feed_due, feed_rate FROM PUBLIC;
