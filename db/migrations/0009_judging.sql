CREATE TABLE "chain_head" (
	"netuid" integer PRIMARY KEY NOT NULL,
	"block" bigint NOT NULL,
	"hash" text NOT NULL,
	"epoch_index" bigint NOT NULL,
	"synced_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "emissions" (
	"hotkey" text NOT NULL,
	"epoch_index" bigint NOT NULL,
	"rao" numeric NOT NULL,
	"block" bigint NOT NULL,
	"seen_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "emissions_hotkey_epoch_index_pk" PRIMARY KEY("hotkey","epoch_index")
);
--> statement-breakpoint
CREATE TABLE "epochs" (
	"start" bigint PRIMARY KEY NOT NULL,
	"seconds" integer NOT NULL,
	"suite" text NOT NULL,
	"evidence" text NOT NULL,
	"bytes" integer NOT NULL,
	"previous" text NOT NULL,
	"closed_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "first_seen" (
	"target" text PRIMARY KEY NOT NULL,
	"slot" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "jails" (
	"hotkey" text PRIMARY KEY NOT NULL,
	"until" timestamp (3) with time zone NOT NULL,
	"times" integer NOT NULL,
	"judge" text NOT NULL,
	"challenge_id" text NOT NULL,
	"reason" text NOT NULL,
	"since" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "judged_epochs" (
	"judge" text NOT NULL,
	"epoch" bigint NOT NULL,
	"evidence" text NOT NULL,
	"findings" text NOT NULL,
	"summary" text NOT NULL,
	"weights" jsonb NOT NULL,
	"signed" jsonb NOT NULL,
	"committed_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"extrinsic" text,
	"block" bigint,
	"reveal_round" bigint,
	"posted_at" timestamp (3) with time zone,
	CONSTRAINT "judged_epochs_judge_epoch_pk" PRIMARY KEY("judge","epoch")
);
--> statement-breakpoint
CREATE TABLE "neurons" (
	"uid" integer PRIMARY KEY NOT NULL,
	"hotkey" text NOT NULL,
	"coldkey" text NOT NULL,
	"permit" boolean NOT NULL,
	"stake" numeric NOT NULL,
	"incentive" integer NOT NULL,
	"emission" numeric NOT NULL,
	"registered_block" bigint NOT NULL,
	CONSTRAINT "neurons_hotkey_unique" UNIQUE("hotkey")
);
--> statement-breakpoint
CREATE TABLE "presence" (
	"epoch" bigint NOT NULL,
	"agent_id" text NOT NULL,
	"device" text NOT NULL,
	"instance" text DEFAULT '' NOT NULL,
	"hotkey" text NOT NULL,
	"body" jsonb NOT NULL,
	"from_slot" bigint NOT NULL,
	"to_slot" bigint NOT NULL,
	"slots" integer NOT NULL,
	"need" bigint DEFAULT 0 NOT NULL,
	"serving" integer DEFAULT 0 NOT NULL,
	CONSTRAINT "presence_epoch_agent_id_device_instance_pk" PRIMARY KEY("epoch","agent_id","device","instance")
);
--> statement-breakpoint
CREATE TABLE "transcripts" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"target" text NOT NULL,
	"agent_id" text NOT NULL,
	"hotkey" text NOT NULL,
	"slot" bigint NOT NULL,
	"body" jsonb NOT NULL,
	"ended" boolean NOT NULL,
	"seq" bigint NOT NULL,
	"committed_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "verdicts" (
	"judge" text NOT NULL,
	"challenge_id" text NOT NULL,
	"slot" bigint NOT NULL,
	"hotkey" text NOT NULL,
	"target" text NOT NULL,
	"kind" text NOT NULL,
	"outcome" text NOT NULL,
	"reason" text NOT NULL,
	"body" jsonb NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "verdicts_judge_challenge_id_pk" PRIMARY KEY("judge","challenge_id")
);
--> statement-breakpoint
CREATE INDEX "judged_epochs_epoch" ON "judged_epochs" USING btree ("epoch");--> statement-breakpoint
CREATE INDEX "neurons_coldkey" ON "neurons" USING btree ("coldkey");--> statement-breakpoint
CREATE INDEX "transcripts_feed" ON "transcripts" USING btree ("seq");--> statement-breakpoint
CREATE INDEX "transcripts_slot" ON "transcripts" USING btree ("slot","id");--> statement-breakpoint
CREATE INDEX "transcripts_target" ON "transcripts" USING btree ("target","slot");--> statement-breakpoint
CREATE INDEX "transcripts_hotkey" ON "transcripts" USING btree ("hotkey","slot");--> statement-breakpoint
CREATE INDEX "verdicts_slot" ON "verdicts" USING btree ("slot","judge");--> statement-breakpoint
CREATE INDEX "verdicts_hotkey" ON "verdicts" USING btree ("hotkey","at");--> statement-breakpoint
-- The order of the public feed of transcripts: a row takes a number when it is committed, and another when it has ended.
CREATE SEQUENCE "transcripts_seq";
