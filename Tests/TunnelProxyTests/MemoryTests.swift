import Glibc
import Testing
import TunnelCore
import TunnelProxy

/// What requests leave behind. How much one allocates on its way is measured in Benchmarks, under callgrind: the
/// allocator tells how many bytes are in use, not how often it was asked.
@Suite struct MemoryTests {
    /// In a process of its own, where nobody else allocates.
    @Test(.enabled(if: !isSanitized, "sanitizers keep memory of their own"))
    func requestsLeaveNothingBehind() async {
        await #expect(processExitsWith: .success) {
            let upstream = try Upstream.answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            let configuration = try TestProxy.Settings(["a": upstream.port]).configuration()
            // Nothing is logged, or the kept lines would be what grows.
            let server = try ProxyServer(configuration: configuration, log: LogRecorder().log(.error))
            try server.start()
            let far = try FarSide(port: server.port ?? 0)
            func run(_ count: Int) throws -> Int {
                for index in 0..<count {
                    let body = index.isMultiple(of: 3) ? "x" : nil
                    guard try far.request(body == nil ? "GET" : "POST", body: body).status == 200 else { exit(2) }
                }
                return residentBytes()
            }
            let before = try run(1_000)
            let after = try run(5_000)
            // 100 bytes a request would show.
            exit(after - before < 500_000 ? EXIT_SUCCESS : EXIT_FAILURE)
        }
    }
}

private var isSanitized: Bool { dlsym(nil, "__asan_init") != nil || dlsym(nil, "__tsan_init") != nil }

/// The process's resident memory.
private func residentBytes() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    guard fgets(&line, 256, file) != nil else { return 0 }
    let text = String(decoding: line.map { UInt8(bitPattern: $0) }.prefix { $0 != 0 }, as: UTF8.self)
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
}
