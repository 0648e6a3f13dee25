// Every test of this module uses it.
@_exported import TunnelTestSupport
import Synchronization
import TunnelIO

/// Why a name has no address; `nil` when it has.
func code(
    of name: String, on reactor: Reactor, timeout: UInt64 = 20_000_000_000, cancellation: Cancellation? = nil
) async -> IOError.Code? {
    do throws(IOError) {
        _ = try await reactor.resolver.resolve(name, timeout: timeout, ttl: 0, cancellation: cancellation)
        return nil
    } catch { return error.code }
}

/// Which names were looked up.
final class Counter: Sendable {
    private let names = Mutex<[String]>([])
    var count: Int { names.withLock(\.count) }
    func of(_ name: String) -> Int { names.withLock { $0.count { $0 == name } } }
    func add(_ name: String) { names.withLock { $0.append(name) } }
}

final class TestClock: Sendable {
    private let value = Atomic<UInt64>(1 << 40)
    var now: UInt64 { value.load(ordering: .relaxed) }
    func advance(_ nanoseconds: UInt64) { value.add(nanoseconds, ordering: .relaxed) }
}
