internal import Glibc

/// A growable run of bytes with a read end and a write end: bytes are appended at the back and consumed at the front.
///
/// Uniquely owned, so there is no copy-on-write check and no reference count. An empty buffer owns no memory. Memory
/// that was consumed is reused before the buffer grows, and growth doubles, so appending is amortised O(1).
/// Nothing here bounds the size: whoever appends bytes from a peer checks a limit first.
///
/// The short members can be inlined into other modules, because every byte path of the others goes through them.
public struct ByteBuffer: ~Copyable {
    @usableFromInline var base: UnsafeMutableRawPointer?
    /// Bytes allocated at `base`; 0 exactly when `base` is `nil`.
    public internal(set) var capacity = 0
    @usableFromInline var head = 0
    @usableFromInline var tail = 0
    /// The highest that `tail` was before it last came down.
    @usableFromInline var mark = 0

    /// An empty buffer. Allocates only when `capacity` is above zero.
    public init(capacity: Int = 0) {
        if capacity > 0 { reserve(capacity) }
    }

    /// Takes over memory from `UnsafeMutableRawPointer.allocate`, for a pool.
    package init(adopting memory: UnsafeMutableRawPointer, capacity: Int) {
        base = memory
        self.capacity = capacity
    }

    deinit {
        // What a connection holds may be secret, and is not to stay behind in memory that is free.
        if let base { explicit_bzero(base, max(mark, tail)) }
        base?.deallocate()
    }

    /// Drops every byte and hands the memory to the caller, who frees or reuses it; `nil` if there is none. What was ever
    /// written to it is zeros then.
    package mutating func surrender() -> UnsafeMutableRawPointer? {
        wipe()
        defer { (base, capacity, head, tail) = (nil, 0, 0, 0) }
        return base
    }

    /// Drops every byte, and overwrites all that was written since the memory was taken, in a way the optimiser keeps.
    package mutating func wipe() {
        if let base { explicit_bzero(base, max(mark, tail)) }
        (head, tail, mark) = (0, 0, 0)
    }

    /// Bytes that can be appended without moving or growing.
    package var spareCapacity: Int { capacity - tail }

    /// Bytes that can be read.
    @inlinable public var count: Int { tail - head }
    @inlinable public var isEmpty: Bool { tail == head }

    /// The readable byte at `index`, counted from the read end.
    public subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < count, "ByteBuffer index out of range")
        return base.unsafelyUnwrapped.load(fromByteOffset: head + index, as: UInt8.self)
    }

    /// Makes room for `extra` more bytes without a further allocation.
    @inlinable public mutating func reserve(_ extra: Int) {
        if capacity - tail < extra { makeRoom(extra) }
    }

    @inline(never) @usableFromInline mutating func makeRoom(_ extra: Int) {
        let count = tail - head
        if let base, capacity >= count + extra, head >= count {
            // The old bytes do not overlap their new place, and at least half of the room is free: move, do not grow.
            base.copyMemory(from: base + head, byteCount: count)
            mark = max(mark, tail)
        } else {
            let size = max(64, max(count + extra, capacity < count + extra ? capacity * 2 : capacity))
            let fresh = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
            if let base {
                fresh.copyMemory(from: base + head, byteCount: count)
                // Heads outgrow their first buffer, and what is in them is not to stay behind.
                explicit_bzero(base, max(mark, tail))
                base.deallocate()
                mark = 0
            }
            base = fresh
            capacity = size
        }
        head = 0
        tail = count
    }

    /// Reads the bytes in place.
    @inlinable public func withBytes<R: ~Copyable, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        let bytes = UnsafeRawBufferPointer(start: base.map { $0 + head }, count: count).bindMemory(to: UInt8.self)
        return try body(bytes.span)
    }

    /// Reads and changes the bytes in place; their number stays.
    public mutating func withMutableSpan<R: ~Copyable, E: Error>(
        _ body: (inout MutableSpan<UInt8>) throws(E) -> R
    ) throws(E) -> R {
        let bytes = UnsafeMutableRawBufferPointer(start: base.map { $0 + head }, count: count)
        var span = bytes.bindMemory(to: UInt8.self).mutableSpan
        return try body(&span)
    }

    /// The same with a pointer, for system calls, OpenSSL and zlib.
    @inlinable package mutating func withMutableBytes<R: ~Copyable, E: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try body(UnsafeMutableRawBufferPointer(start: base.map { $0 + head }, count: count))
    }

    /// Drops `count` bytes from the read end.
    @inlinable public mutating func consume(_ count: Int) {
        precondition(count >= 0 && count <= self.count, "ByteBuffer consumed past its end")
        head += count
        if head == tail {
            mark = max(mark, tail)
            (head, tail) = (0, 0)
        }
    }

    /// Drops every byte and keeps the memory.
    ///
    /// - Parameter headroom: bytes to leave free in front, for ``prepend(_:)``.
    @inlinable public mutating func removeAll(headroom: Int = 0) {
        mark = max(mark, tail)
        if headroom > capacity {
            tail = head
            reserve(headroom)
        }
        (head, tail) = (headroom, headroom)
    }

    /// Puts bytes in front of the readable ones without moving those.
    ///
    /// - Returns: `false`, and nothing done, when there is not enough free room in front.
    public mutating func prepend(_ bytes: Span<UInt8>) -> Bool {
        bytes.withUnsafeBytes { prepend($0) }
    }

    /// See the other form.
    package mutating func prepend(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count <= head, let base, let source = bytes.baseAddress else { return bytes.isEmpty }
        head -= bytes.count
        (base + head).copyMemory(from: source, byteCount: bytes.count)
        return true
    }

    /// Drops bytes from the write end until `count` are left.
    @inlinable public mutating func truncate(to count: Int) {
        precondition(count >= 0 && count <= self.count, "ByteBuffer truncated past its start")
        mark = max(mark, tail)
        tail = head + count
    }

    /// Drops every byte and gives the memory back, for an idle connection.
    public mutating func release() {
        wipe()
        base?.deallocate()
        (base, capacity, head, tail, mark) = (nil, 0, 0, 0, 0)
    }

    /// Lets `body` write up to `atMost` bytes behind the readable ones; it returns how many it wrote.
    @inlinable package mutating func append<E: Error>(
        atMost: Int, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
    ) throws(E) -> Int {
        reserve(atMost)
        let room = UnsafeMutableRawBufferPointer(start: base.map { $0 + tail }, count: atMost)
        let written = try body(room)
        precondition(written >= 0 && written <= atMost, "more bytes written than there was room for")
        tail += written
        return written
    }

    @inlinable public mutating func append(_ byte: UInt8) {
        reserve(1)
        base.unsafelyUnwrapped.storeBytes(of: byte, toByteOffset: tail, as: UInt8.self)
        tail += 1
    }

    @inlinable package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(bytes.count)
        (base.unsafelyUnwrapped + tail).copyMemory(from: source, byteCount: bytes.count)
        tail += bytes.count
    }

    @inlinable public mutating func append(_ bytes: borrowing Span<UInt8>) {
        bytes.withUnsafeBytes { append($0) }
    }

    /// Appends once more the readable bytes at `range`.
    mutating func append(copyOf range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "ByteBuffer range out of bounds")
        guard !range.isEmpty else { return }
        reserve(range.count)
        let base = base.unsafelyUnwrapped
        (base + tail).copyMemory(from: base + head + range.lowerBound, byteCount: range.count)
        tail += range.count
    }

    /// Appends readable bytes of another buffer.
    mutating func append(_ count: Int, of other: borrowing ByteBuffer, at start: Int) {
        precondition(min(start, count) >= 0 && count <= other.count - start, "ByteBuffer range out of bounds")
        guard count > 0 else { return }
        reserve(count)
        (base.unsafelyUnwrapped + tail).copyMemory(
            from: other.base.unsafelyUnwrapped + other.head + start, byteCount: count)
        tail += count
    }

    /// Moves `count` of the readable bytes from one place among them to another; the two may overlap.
    mutating func move(_ count: Int, from source: Int, to destination: Int) {
        precondition(
            min(source, destination, count) >= 0 && max(source, destination) + count <= self.count,
            "ByteBuffer range out of bounds")
        guard count > 0, source != destination else { return }
        let start = base.unsafelyUnwrapped + head
        (start + destination).copyMemory(from: start + source, byteCount: count)
    }

    public mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    @inlinable public mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// Appends `value` in decimal digits.
    public mutating func append(decimal value: UInt64) {
        // 20 digits hold UInt64.max.
        _ = append(atMost: 20) { room in
            var value = value, digits = 0
            repeat {
                room[19 - digits] = UInt8(truncatingIfNeeded: value % 10) &+ 0x30
                value /= 10
                digits += 1
            } while value > 0
            guard let start = room.baseAddress else { return 0 }
            start.copyMemory(from: start + (20 - digits), byteCount: digits)
            return digits
        }
    }

    /// A copy of the bytes, for tests and for what is kept.
    public var array: [UInt8] { withBytes { span in span.withUnsafeBytes { [UInt8]($0) } } }
}

// SAFETY: the memory has exactly one owner, this noncopyable value, so handing the value over hands all of it over.
extension ByteBuffer: @unchecked Sendable {}
