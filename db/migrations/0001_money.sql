CREATE TABLE "book_checks" (
	"at" timestamp (3) with time zone PRIMARY KEY DEFAULT now() NOT NULL,
	"ok" boolean NOT NULL,
	"broken" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "calls" (
	"call_id" uuid PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"account_id" text NOT NULL,
	"key_id" text NOT NULL,
	"chute_id" text NOT NULL,
	"version" text NOT NULL,
	"opened_at" timestamp (3) with time zone NOT NULL,
	"closed_at" timestamp (3) with time zone NOT NULL,
	"state" text NOT NULL,
	"code" text NOT NULL,
	"hold_nanousd" bigint NOT NULL,
	"cost_nanousd" bigint NOT NULL,
	"cash_nanousd" bigint NOT NULL,
	"promo_nanousd" bigint NOT NULL,
	"price_version" text NOT NULL,
	"fee_bps" integer NOT NULL,
	"lease_epoch" integer,
	"attempts" integer NOT NULL,
	"waited_ms" integer NOT NULL,
	"cold" boolean NOT NULL,
	"recorded_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"transfer_id" uuid,
	CONSTRAINT "calls_kind" CHECK ("calls"."kind" in ('call', 'rent')),
	CONSTRAINT "calls_state" CHECK ("calls"."state" in ('completed', 'cancelled', 'failed')),
	CONSTRAINT "calls_cost" CHECK ("calls"."cost_nanousd" = "calls"."cash_nanousd" + "calls"."promo_nanousd" and "calls"."cash_nanousd" >= 0 and "calls"."promo_nanousd" >= 0),
	CONSTRAINT "calls_hold" CHECK ("calls"."cost_nanousd" <= "calls"."hold_nanousd"),
	CONSTRAINT "calls_fee" CHECK ("calls"."fee_bps" between 0 and 10000),
	CONSTRAINT "calls_paid" CHECK (("calls"."cost_nanousd" = 0) = ("calls"."transfer_id" is null) and ("calls"."cost_nanousd" = 0 or "calls"."lease_epoch" is not null)),
	CONSTRAINT "calls_attempts" CHECK ("calls"."attempts" >= 0 and ("calls"."cost_nanousd" = 0 or "calls"."attempts" > 0))
);
--> statement-breakpoint
CREATE TABLE "chains" (
	"owner" text PRIMARY KEY NOT NULL,
	"n" bigint DEFAULT 0 NOT NULL,
	"hash" "bytea" DEFAULT decode(repeat('00', 32), 'hex') NOT NULL
);
--> statement-breakpoint
CREATE TABLE "entries" (
	"transfer_id" uuid NOT NULL,
	"purse_id" text NOT NULL,
	"amount" bigint NOT NULL,
	CONSTRAINT "entries_transfer_id_purse_id_pk" PRIMARY KEY("transfer_id","purse_id"),
	CONSTRAINT "entries_amount" CHECK ("entries"."amount" <> 0 and abs("entries"."amount") <= 10000000000000000)
);
--> statement-breakpoint
CREATE TABLE "flows" (
	"kind" text PRIMARY KEY NOT NULL,
	"debits" text[] NOT NULL,
	"credits" text[] NOT NULL
);
--> statement-breakpoint
CREATE TABLE "leases" (
	"account_id" text NOT NULL,
	"epoch" integer NOT NULL,
	"n" integer NOT NULL,
	"state" text DEFAULT 'open' NOT NULL,
	"cash_amount" bigint DEFAULT 0 NOT NULL,
	"promo_amount" bigint DEFAULT 0 NOT NULL,
	"cash_spent" bigint DEFAULT 0 NOT NULL,
	"promo_spent" bigint DEFAULT 0 NOT NULL,
	"opened_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"touched_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "leases_account_id_epoch_pk" PRIMARY KEY("account_id","epoch"),
	CONSTRAINT "leases_state" CHECK ("leases"."state" in ('open', 'closing', 'closed')),
	CONSTRAINT "leases_spent" CHECK (0 <= "leases"."cash_spent" and "leases"."cash_spent" <= "leases"."cash_amount" and 0 <= "leases"."promo_spent" and "leases"."promo_spent" <= "leases"."promo_amount")
);
--> statement-breakpoint
CREATE TABLE "maturing" (
	"purse_id" text NOT NULL,
	"hour" timestamp (3) with time zone NOT NULL,
	"amount" bigint NOT NULL,
	CONSTRAINT "maturing_purse_id_hour_pk" PRIMARY KEY("purse_id","hour"),
	CONSTRAINT "maturing_amount" CHECK ("maturing"."amount" > 0)
);
--> statement-breakpoint
CREATE TABLE "purses" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text GENERATED ALWAYS AS (split_part(id, '/', 1)) STORED NOT NULL,
	"owner" text GENERATED ALWAYS AS (nullif(split_part(id, '/', 2), '')) STORED,
	"floor_zero" boolean GENERATED ALWAYS AS (split_part(id, '/', 1) in ('cash', 'promo', 'pending', 'payable', 'in_flight')) STORED NOT NULL,
	"lazy" boolean GENERATED ALWAYS AS (split_part(id, '/', 1) not in ('cash', 'promo', 'payable', 'in_flight')) STORED NOT NULL,
	"posted" bigint DEFAULT 0 NOT NULL,
	"held" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "purses_id" CHECK ("purses"."id" ~ '^((cash|promo|pending|payable|in_flight)/[!-.0-~]+|fee|loss|promo_fund|tao_clearing|stripe_clearing|operator_clearing|forfeited)$'),
	CONSTRAINT "purses_held" CHECK ("purses"."held" >= 0),
	CONSTRAINT "purses_floor" CHECK (not "purses"."floor_zero" or "purses"."posted" - "purses"."held" >= 0)
);
--> statement-breakpoint
CREATE TABLE "refunds" (
	"transfer_id" uuid PRIMARY KEY NOT NULL,
	"call_id" uuid NOT NULL,
	"amount" bigint NOT NULL,
	CONSTRAINT "refunds_amount" CHECK ("refunds"."amount" > 0)
);
--> statement-breakpoint
CREATE TABLE "transfers" (
	"id" uuid PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"ref" text NOT NULL,
	"owner" text NOT NULL,
	"call_id" uuid,
	"reason" text DEFAULT '' NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"tx" "xid8" NOT NULL,
	"n" bigint NOT NULL,
	"prev_hash" "bytea" NOT NULL,
	"hash" "bytea" NOT NULL,
	CONSTRAINT "transfers_ref_unique" UNIQUE("ref"),
	CONSTRAINT "transfers_ref" CHECK ("transfers"."ref" ~ '^[!-~]+$' and length("transfers"."ref") <= 200),
	CONSTRAINT "transfers_owner" CHECK ("transfers"."owner" ~ '^[!-~]+$'),
	CONSTRAINT "transfers_reason" CHECK (length("transfers"."reason") <= 500)
);
--> statement-breakpoint
CREATE TABLE "unfolded" (
	"transfer_id" uuid NOT NULL,
	"purse_id" text NOT NULL,
	CONSTRAINT "unfolded_transfer_id_purse_id_pk" PRIMARY KEY("transfer_id","purse_id")
);
--> statement-breakpoint
CREATE TABLE "chain_cursors" (
	"chain" text PRIMARY KEY NOT NULL,
	"number" bigint NOT NULL,
	"hash" text NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "checkouts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"provider" text NOT NULL,
	"provider_id" text,
	"nanousd" bigint NOT NULL,
	"state" text NOT NULL,
	"url" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"paid_at" timestamp (3) with time zone,
	"transfer_id" uuid,
	CONSTRAINT "checkouts_provider_id_unique" UNIQUE("provider_id"),
	CONSTRAINT "checkouts_provider" CHECK ("checkouts"."provider" = 'stripe'),
	CONSTRAINT "checkouts_nanousd" CHECK ("checkouts"."nanousd" > 0),
	CONSTRAINT "checkouts_state" CHECK ("checkouts"."state" in ('open', 'paid', 'expired'))
);
--> statement-breakpoint
CREATE TABLE "deposit_addresses" (
	"address" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "deposit_addresses_account_id_unique" UNIQUE("account_id")
);
--> statement-breakpoint
CREATE TABLE "deposits" (
	"chain" text NOT NULL,
	"block_hash" text NOT NULL,
	"event_index" integer NOT NULL,
	"block_number" bigint NOT NULL,
	"address" text NOT NULL,
	"account_id" text NOT NULL,
	"asset" text NOT NULL,
	"rao" bigint NOT NULL,
	"rate_id" bigint,
	"nanousd" bigint,
	"transfer_id" uuid,
	"state" text NOT NULL,
	"seen_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"credited_at" timestamp (3) with time zone,
	CONSTRAINT "deposits_chain_block_hash_event_index_pk" PRIMARY KEY("chain","block_hash","event_index"),
	CONSTRAINT "deposits_rao" CHECK ("deposits"."rao" > 0),
	CONSTRAINT "deposits_state" CHECK ("deposits"."state" in ('seen', 'credited', 'dust'))
);
--> statement-breakpoint
CREATE TABLE "payout_addresses" (
	"id" uuid PRIMARY KEY NOT NULL,
	"hotkey" text NOT NULL,
	"kind" text NOT NULL,
	"address" text NOT NULL,
	"requested_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"active_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "payout_addresses_kind" CHECK ("payout_addresses"."kind" in ('tao', 'operator'))
);
--> statement-breakpoint
CREATE TABLE "payouts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"hotkey" text NOT NULL,
	"adapter" text NOT NULL,
	"address" text NOT NULL,
	"nanousd" bigint NOT NULL,
	"rate_id" bigint,
	"rao" bigint,
	"state" text NOT NULL,
	"attempt" jsonb,
	"begin_transfer" uuid,
	"end_transfer" uuid,
	"reason" text DEFAULT '' NOT NULL,
	"requested_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "payouts_nanousd" CHECK ("payouts"."nanousd" > 0),
	CONSTRAINT "payouts_state" CHECK ("payouts"."state" in ('requested', 'begun', 'submitted', 'paid', 'failed'))
);
--> statement-breakpoint
CREATE TABLE "provider_events" (
	"provider" text NOT NULL,
	"id" text NOT NULL,
	"type" text NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "provider_events_provider_id_pk" PRIMARY KEY("provider","id")
);
--> statement-breakpoint
CREATE TABLE "prices" (
	"id" text PRIMARY KEY NOT NULL,
	"chute_id" text NOT NULL,
	"account_id" text,
	"price" jsonb NOT NULL,
	"fee_bps" integer NOT NULL,
	"discount_bps" integer DEFAULT 0 NOT NULL,
	"starts_at" timestamp (3) with time zone NOT NULL,
	"ends_at" timestamp (3) with time zone,
	"note" text DEFAULT '' NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "prices_bps" CHECK ("prices"."fee_bps" between 0 and 10000 and "prices"."discount_bps" between 0 and 10000),
	CONSTRAINT "prices_ends" CHECK ("prices"."ends_at" > "prices"."starts_at")
);
--> statement-breakpoint
CREATE TABLE "rates" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "rates_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"asset" text NOT NULL,
	"nanousd" bigint NOT NULL,
	"source" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "rates_nanousd" CHECK ("rates"."nanousd" > 0),
	CONSTRAINT "rates_asset" CHECK ("rates"."asset" = 'TAO')
);
--> statement-breakpoint
ALTER TABLE "usage" ADD COLUMN "status" smallint;--> statement-breakpoint
ALTER TABLE "usage" ADD COLUMN "cached_in" bigint;--> statement-breakpoint
ALTER TABLE "usage" ADD COLUMN "waited_ms" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "usage" ADD COLUMN "cold" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "usage" ADD COLUMN "region" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "usage" ADD COLUMN "share_nanousd" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "transfers" ADD CONSTRAINT "transfers_kind_flows_kind_fk" FOREIGN KEY ("kind") REFERENCES "public"."flows"("kind") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "calls_account" ON "calls" USING btree ("account_id","closed_at");--> statement-breakpoint
CREATE INDEX "calls_chute" ON "calls" USING btree ("chute_id","closed_at");--> statement-breakpoint
CREATE INDEX "calls_transfer" ON "calls" USING btree ("transfer_id") WHERE "calls"."transfer_id" is not null;--> statement-breakpoint
CREATE INDEX "entries_purse" ON "entries" USING btree ("purse_id");--> statement-breakpoint
CREATE UNIQUE INDEX "leases_open" ON "leases" USING btree ("account_id") WHERE "leases"."state" = 'open';--> statement-breakpoint
CREATE INDEX "maturing_hour" ON "maturing" USING btree ("hour");--> statement-breakpoint
CREATE INDEX "purses_owner" ON "purses" USING btree ("owner");--> statement-breakpoint
CREATE INDEX "refunds_call" ON "refunds" USING btree ("call_id");--> statement-breakpoint
CREATE UNIQUE INDEX "transfers_chain" ON "transfers" USING btree ("owner","n");--> statement-breakpoint
CREATE INDEX "unfolded_purse" ON "unfolded" USING btree ("purse_id");--> statement-breakpoint
CREATE INDEX "checkouts_account" ON "checkouts" USING btree ("account_id","created_at");--> statement-breakpoint
CREATE INDEX "deposits_account" ON "deposits" USING btree ("account_id","seen_at");--> statement-breakpoint
CREATE INDEX "deposits_seen" ON "deposits" USING btree ("seen_at") WHERE "deposits"."state" = 'seen';--> statement-breakpoint
CREATE INDEX "payout_addresses_hotkey" ON "payout_addresses" USING btree ("hotkey","active_at");--> statement-breakpoint
CREATE INDEX "payouts_hotkey" ON "payouts" USING btree ("hotkey","requested_at");--> statement-breakpoint
CREATE UNIQUE INDEX "payouts_open" ON "payouts" USING btree ("hotkey") WHERE "payouts"."state" not in ('paid', 'failed');--> statement-breakpoint
CREATE INDEX "prices_chute" ON "prices" USING btree ("chute_id","starts_at");--> statement-breakpoint
CREATE INDEX "rates_newest" ON "rates" USING btree ("asset","at");--> statement-breakpoint
ALTER TABLE "usage" ADD CONSTRAINT "usage_share" CHECK (0 <= "usage"."share_nanousd" and "usage"."share_nanousd" <= "usage"."cost_nanousd");