import Testing

@testable import mcp_proxy

@Suite struct TarArchiveTests {
    private func archive(_ files: [(String, [UInt8])], time: Int64 = 1_800_000_000) -> [UInt8] {
        var tar = TarArchive(time: time)
        for (name, content) in files { tar.add(name, content) }
        tar.finish()
        return tar.bytes
    }

    /// Content around a block's border; a file ends with its block.
    @Test(arguments: [(0, 512), (1, 1024), (511, 1024), (512, 1024), (513, 1536)])
    func filesFillBlocks(_ count: Int, _ size: Int) {
        var tar = TarArchive(time: 0)
        tar.add("a", [UInt8](repeating: 7, count: count))
        #expect(tar.bytes.count == size)
    }

    /// "The last physical block shall always be the full size": records of twenty blocks, the last two of them zeros.
    @Test(arguments: [0, 1, 17 * 512, 17 * 512 + 1, 100_000]) func theEndIsWhole(_ count: Int) {
        let bytes = archive([("a", [UInt8](repeating: 7, count: count))])
        #expect(bytes.count % 10_240 == 0 && bytes.suffix(1_024).allSatisfy { $0 == 0 })
    }

    @Test(arguments: [0, 1_800_000_000, -1, Int64.max]) func noTimeTraps(_ time: Int64) {
        #expect(archive([("a", [])], time: time).count == 10_240)
    }
}

@Suite struct GzipTests {
    /// RFC 1952 §2.3: the head says gzip and deflate.
    @Test(arguments: [0, 1, 100_000, 3_000_000]) func hasItsHead(_ count: Int) throws {
        var noise = SystemRandomNumberGenerator()
        let input = (0..<count).map { $0 % 3 == 0 ? UInt8.random(in: 0...255, using: &noise) : UInt8($0 & 0x7F) }
        let output = try Gzip.compress(input)
        #expect(output.prefix(3) == [0x1F, 0x8B, 8] && output.count >= 18)
        // ISIZE, the last four bytes.
        let size = output.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        #expect(size == count)
    }
}
