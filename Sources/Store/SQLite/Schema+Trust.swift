extension Schema {
  /// Miners sign what they send. A package's manifest stands in the package alone.
  static let trust = """
    ALTER TABLE miners ADD COLUMN public_key TEXT;
    ALTER TABLE tries ADD COLUMN miner_key TEXT;
    ALTER TABLE tries ADD COLUMN miner_signature TEXT;
    ALTER TABLE packages DROP COLUMN manifest;
    """
}
