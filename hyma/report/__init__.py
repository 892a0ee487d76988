"""Reports: markdown and pictures made from the json of the stages before. Nothing is measured here."""
