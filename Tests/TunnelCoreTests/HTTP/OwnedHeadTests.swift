import Testing

@testable import TunnelCore

@Suite struct OwnedHeadTests {
    static let request =
        "POST /a HTTP/1.1\r\nHost: a.example\r\nX-Tenant: one\r\nConnection: close, x-b\r\nX-B: 1\r\nContent-Length: 03\r\n\r\n"
    static let response = "HTTP/1.1 200 OK\r\nX-Tenant: one\r\nKeep-Alive: timeout=5\r\nContent-Length: 3\r\n\r\n"

    /// What came behind the head, or overwrites it, does not matter: the head has its own bytes.
    @Test func requestOutlivesTheBufferItCameIn() throws {
        var buffer = ByteBuffer()
        buffer.append(Self.request + "abc")
        var owned = OwnedRequestHead()
        #expect(try buffer.withBytes { bytes throws(HTTPError) in try owned.parse(bytes.extracting(0..<20)) } == nil)
        let size = try #require(try buffer.withBytes { bytes throws(HTTPError) in try owned.parse(bytes) })
        buffer.withBytes { owned.keep($0, in: ByteBuffer()) }
        buffer.consume(size)
        let rest = buffer.array
        #expect(HTTPSamples.text(rest) == "abc")
        buffer.removeAll()
        buffer.append(String(repeating: "Z", count: 200))

        var out = ByteBuffer()
        owned.appendForwarded(framing: owned.head.framing, into: &out)
        #expect(
            HTTPSamples.text(out.array)
                == "POST /a HTTP/1.1\r\nHost: a.example\r\nX-Tenant: one\r\nContent-Length: 3\r\n\r\n")
        let isHost = owned.withBytes { $0.matches(owned.head.authority, "a.example") }
        #expect(isHost)
    }

    @Test func responseOutlivesTheBufferItCameIn() throws {
        var buffer = ByteBuffer()
        buffer.append("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + Self.response)
        var owned = OwnedResponseHead()
        for status in [103, 200] as [UInt16] {
            owned.reset()
            let size = try #require(
                try buffer.withBytes { bytes throws(HTTPError) in try owned.parse(bytes, requestMethod: .get) })
            buffer.withBytes { owned.keep($0, in: ByteBuffer()) }
            buffer.consume(size)
            #expect(owned.head.status == status)
        }
        #expect(owned.head.keepAliveTimeout == 5)
        buffer.append(String(repeating: "Z", count: 200))
        var out = ByteBuffer()
        owned.appendForwarded(framing: owned.head.framing, connection: .keepAlive, clientMinorVersion: 1, into: &out)
        #expect(HTTPSamples.text(out.array) == "HTTP/1.1 200 OK\r\nX-Tenant: one\r\nContent-Length: 3\r\n\r\n")
    }

    /// Only what belongs to the head is kept, and the arena's memory is used as it is.
    @Test func keepsTheHeadAlone() throws {
        var owned = OwnedRequestHead()
        let all = HTTPSamples.bytes(Self.request + "abcdef")
        let size = try #require(try owned.parse(all.span))
        var memory = ByteBuffer(capacity: 4096)
        memory.append("of an earlier request")
        owned.keep(all.span, in: memory)
        let kept = owned.withBytes { $0.count }
        #expect(kept == size)
        var pool = HeadPool()
        let capacity = owned.release(to: &pool).capacity
        #expect(capacity == 4096)
        let left = owned.withBytes { $0.count }
        #expect(owned.head.fields.isEmpty && left == 0)
    }

    /// A decoder of HTTP/2 writes the lines itself.
    @Test func takesLinesThatAreInTheArena() throws {
        var arena = ByteBuffer()
        arena.append(Self.request)
        var head = RequestHead()
        let size = try arena.withBytes { bytes throws(HTTPError) in try head.parse(bytes) }
        #expect(size == Self.request.utf8.count)
        let owned = OwnedRequestHead(head, in: arena)
        let isPath = owned.withBytes { $0.matches(owned.head.path, "/a") }
        #expect(isPath)
    }

    /// The second request uses the first one's memory; nothing of the first is seen in it.
    @Test func storageIsReused() throws {
        var pool = HeadPool()
        func address(_ head: RequestHead) -> UnsafeRawPointer? {
            head.fields.withUnsafeBytes { $0.baseAddress }
        }
        var first = OwnedRequestHead(storage: pool.takeRequest())
        let source = HTTPSamples.bytes(Self.request)
        #expect(try first.parse(source.span) == source.count)
        let memory = address(first.head)
        _ = first.release(to: &pool)

        let next = HTTPSamples.bytes("GET / HTTP/1.1\r\nHost: b\r\n\r\n")
        var second = OwnedRequestHead(storage: pool.takeRequest())
        #expect(second.head.size == nil && second.head.fields.isEmpty)
        #expect(try second.parse(next.span) == next.count)
        #expect(second.head.fields.count == 1 && second.head.method == .get && second.head.isPersistent)
        #expect(address(second.head) == memory)
        #expect(pool.takeRequest().section.capacity == 0)
    }

    @Test func poolIsBounded() throws {
        func request(_ fields: Int) throws -> RequestHead {
            let lines = String(repeating: "A: b\r\n", count: fields - 1)
            return try HTTPSamples.request("GET / HTTP/1.1\r\nHost: h\r\n\(lines)\r\n")
        }
        var pool = HeadPool()
        pool.give(try request(HeadPool.maxFields * 2))
        pool.give(RequestHead())
        #expect(pool.takeRequest().section.capacity == 0)
        for _ in 0...HeadPool.maxSpare {
            pool.give(try request(1))
            pool.give(try HTTPSamples.response(Self.response))
        }
        var requests = 0, responses = 0
        while pool.takeRequest().section.capacity > 0 { requests += 1 }
        while pool.takeResponse().section.capacity > 0 { responses += 1 }
        #expect(requests == HeadPool.maxSpare && responses == HeadPool.maxSpare)
    }
}
