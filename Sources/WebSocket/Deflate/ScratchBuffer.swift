/// Working memory that is freed with its owner.
public final class ScratchBuffer {
  public let bytes: UnsafeMutableRawBufferPointer

  public init(size: Int) { bytes = .allocate(byteCount: size, alignment: 16) }

  deinit { bytes.deallocate() }
}
