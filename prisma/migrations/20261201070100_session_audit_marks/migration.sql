-- What the audit trail has recorded about the session, so that repeated presentations of its tokens cannot fill the trail:
-- when a token of the ended session was first refused, and the latest generation that was replayed from another network.
ALTER TABLE "sessions" ADD COLUMN "refused_at" TIMESTAMPTZ(6),
                       ADD COLUMN "replayed_generation" INTEGER;
