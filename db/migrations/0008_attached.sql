CREATE TABLE "attached" (
	"chute_id" text PRIMARY KEY NOT NULL,
	"revision" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "secrets" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"chute_id" text NOT NULL,
	"purpose" text NOT NULL,
	"kind" text NOT NULL,
	"key" text NOT NULL,
	"sealed" jsonb NOT NULL,
	"bytes" integer NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "secrets_key" UNIQUE("chute_id","kind","key"),
	CONSTRAINT "secrets_kind" CHECK ("secrets"."kind" in ('env', 'registry'))
);
--> statement-breakpoint
CREATE TABLE "shares" (
	"chute_id" text NOT NULL,
	"account_id" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "shares_chute_id_account_id_pk" PRIMARY KEY("chute_id","account_id")
);
--> statement-breakpoint
CREATE INDEX "secrets_account" ON "secrets" USING btree ("account_id","id");--> statement-breakpoint
CREATE INDEX "shares_account" ON "shares" USING btree ("account_id");--> statement-breakpoint
-- Who changes what is attached to a chute waits here for who did so before: a revision that can be read has all its rows.
CREATE FUNCTION attach_turn(chute text) RETURNS void LANGUAGE sql SET search_path = public, pg_temp AS $$
  INSERT INTO attached (chute_id, revision) VALUES (chute, 1) ON CONFLICT (chute_id) DO UPDATE SET revision = attached.revision + 1;
$$;
--> statement-breakpoint
-- The secret's id, that of the first time where it is there already; or 'too_many', 'too_large' as the bounds say.
CREATE FUNCTION set_secret(fresh text, account text, chute text, chute_name text, its_kind text, its_key text, its_sealed jsonb, its_bytes int,
  most int, most_bytes int, most_of_account int) RETURNS text LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  others record;
  answer text;
BEGIN
  PERFORM attach_turn(chute);
  SELECT count(*) FILTER (WHERE kind = its_kind) AS many, coalesce(sum(bytes), 0) AS bytes INTO others
    FROM secrets WHERE chute_id = chute AND NOT (kind = its_kind AND key = its_key);
  IF others.many >= most OR (SELECT count(*) FROM secrets WHERE account_id = account AND NOT (chute_id = chute AND kind = its_kind AND key = its_key)) >= most_of_account
  THEN RETURN 'too_many'; END IF;
  IF others.bytes + its_bytes > most_bytes THEN RETURN 'too_large'; END IF;
  INSERT INTO secrets (id, account_id, chute_id, purpose, kind, key, sealed, bytes)
    VALUES (fresh, account, chute, chute_name, its_kind, its_key, its_sealed, its_bytes)
    ON CONFLICT (chute_id, kind, key) DO UPDATE SET sealed = excluded.sealed, bytes = excluded.bytes, updated_at = now()
    RETURNING id INTO answer;
  RETURN answer;
END $$;
--> statement-breakpoint
-- The chute it was of; null: there is no such secret of this account.
CREATE FUNCTION drop_secret(its_id text, account text) RETURNS text LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  chute text;
BEGIN
  SELECT chute_id INTO chute FROM secrets WHERE id = its_id AND account_id = account;
  IF chute IS NULL THEN RETURN NULL; END IF;
  PERFORM attach_turn(chute);
  DELETE FROM secrets WHERE id = its_id;
  RETURN chute;
END $$;
--> statement-breakpoint
-- False: the chute is shared with as many as it may.
CREATE FUNCTION share_chute(chute text, account text, most int) RETURNS boolean LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM attach_turn(chute);
  IF (SELECT count(*) FROM shares WHERE chute_id = chute AND account_id <> account) >= most THEN RETURN false; END IF;
  INSERT INTO shares (chute_id, account_id) VALUES (chute, account) ON CONFLICT DO NOTHING;
  RETURN true;
END $$;
--> statement-breakpoint
CREATE FUNCTION unshare_chute(chute text, account text) RETURNS boolean LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM attach_turn(chute);
  DELETE FROM shares WHERE chute_id = chute AND account_id = account;
  RETURN FOUND;
END $$;
--> statement-breakpoint
-- Of a chute that is deleted.
CREATE FUNCTION detach_all(chute text) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM attach_turn(chute);
  DELETE FROM secrets WHERE chute_id = chute;
  DELETE FROM shares WHERE chute_id = chute;
END $$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION attach_turn, set_secret, drop_secret, share_chute, unshare_chute, detach_all FROM PUBLIC;
