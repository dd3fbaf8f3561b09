"""Attribution: which spans of a request moved a recommendation, and how far that can be trusted."""
