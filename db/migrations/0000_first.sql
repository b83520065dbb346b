CREATE TABLE "accounts" (
	"id" text PRIMARY KEY NOT NULL,
	"hotkey" text NOT NULL,
	"handle" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "accounts_hotkey_unique" UNIQUE("hotkey"),
	CONSTRAINT "accounts_handle_unique" UNIQUE("handle")
);
--> statement-breakpoint
CREATE TABLE "agents" (
	"id" text PRIMARY KEY NOT NULL,
	"hotkey" text NOT NULL,
	"inventory" jsonb NOT NULL,
	"first_seen_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "chutes" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"name" text NOT NULL,
	"slug" text NOT NULL,
	"public" boolean NOT NULL,
	"version" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"deleted_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "keys" (
	"id" text PRIMARY KEY NOT NULL,
	"account_id" text NOT NULL,
	"name" text NOT NULL,
	"scopes" text[] NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "observations" (
	"id" text PRIMARY KEY NOT NULL,
	"judge" text NOT NULL,
	"type" text NOT NULL,
	"agent_id" text NOT NULL,
	"hotkey" text NOT NULL,
	"instance_id" text,
	"epoch" bigint NOT NULL,
	"round" bigint NOT NULL,
	"ok" boolean NOT NULL,
	"reason" text NOT NULL,
	"value_ms" integer,
	"first_byte_ms" integer,
	"tokens" integer,
	"call_id" text,
	"at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "scores" (
	"judge" text NOT NULL,
	"epoch" bigint NOT NULL,
	"hotkey" text NOT NULL,
	"round" bigint NOT NULL,
	"score" integer NOT NULL,
	"parts" jsonb NOT NULL,
	"recorded_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "scores_judge_epoch_hotkey_pk" PRIMARY KEY("judge","epoch","hotkey")
);
--> statement-breakpoint
CREATE TABLE "usage" (
	"call_id" uuid NOT NULL,
	"attempt" smallint NOT NULL,
	"account_id" text NOT NULL,
	"key_id" text NOT NULL,
	"chute_id" text NOT NULL,
	"version" text NOT NULL,
	"instance_id" text NOT NULL,
	"agent_id" text NOT NULL,
	"hotkey" text NOT NULL,
	"outcome" text NOT NULL,
	"code" text NOT NULL,
	"bytes" bigint NOT NULL,
	"tokens_in" bigint,
	"tokens_out" bigint,
	"started_at" timestamp (3) with time zone NOT NULL,
	"first_byte_ms" integer,
	"last_byte_ms" integer,
	"cost_nanousd" bigint NOT NULL,
	"receipt" jsonb,
	"recorded_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "usage_call_id_attempt_pk" PRIMARY KEY("call_id","attempt")
);
--> statement-breakpoint
CREATE TABLE "versions" (
	"chute_id" text NOT NULL,
	"version" text NOT NULL,
	"config" jsonb NOT NULL,
	"code_sha256" text,
	"code_bytes" integer,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "versions_chute_id_version_pk" PRIMARY KEY("chute_id","version")
);
--> statement-breakpoint
ALTER TABLE "versions" ADD CONSTRAINT "versions_chute_id_chutes_id_fk" FOREIGN KEY ("chute_id") REFERENCES "public"."chutes"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "agents_hotkey" ON "agents" USING btree ("hotkey");--> statement-breakpoint
CREATE UNIQUE INDEX "chutes_slug" ON "chutes" USING btree ("slug");--> statement-breakpoint
CREATE INDEX "chutes_account" ON "chutes" USING btree ("account_id");--> statement-breakpoint
CREATE INDEX "chutes_public" ON "chutes" USING btree ("name") WHERE "chutes"."public" and "chutes"."deleted_at" is null;--> statement-breakpoint
CREATE INDEX "keys_account" ON "keys" USING btree ("account_id");--> statement-breakpoint
CREATE INDEX "observations_epoch" ON "observations" USING btree ("epoch","id");--> statement-breakpoint
CREATE INDEX "observations_hotkey" ON "observations" USING btree ("hotkey","at");--> statement-breakpoint
CREATE INDEX "scores_epoch" ON "scores" USING btree ("epoch");--> statement-breakpoint
CREATE INDEX "usage_account" ON "usage" USING btree ("account_id","started_at");--> statement-breakpoint
CREATE INDEX "usage_hotkey" ON "usage" USING btree ("hotkey","started_at");