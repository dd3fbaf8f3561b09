"""Attribution of recommendations to spans of a request, with tests of its faithfulness."""
