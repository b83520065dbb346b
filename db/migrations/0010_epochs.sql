ALTER TABLE "transcripts" ADD COLUMN "epoch" bigint;--> statement-breakpoint
CREATE INDEX "transcripts_epoch" ON "transcripts" USING btree ("epoch","id");--> statement-breakpoint
CREATE INDEX "transcripts_unclaimed" ON "transcripts" USING btree ("ended_at") WHERE "transcripts"."ended" and "transcripts"."epoch" is null;--> statement-breakpoint
CREATE INDEX "usage_recorded" ON "usage" USING btree ("recorded_at");