"""Readers of tables, atomic files, RDF, SPARQL endpoints and Neo4j."""
