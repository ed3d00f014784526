"""Model families that several engines share."""
