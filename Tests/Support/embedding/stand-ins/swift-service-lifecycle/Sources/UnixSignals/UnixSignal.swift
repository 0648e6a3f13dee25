import Glibc

public struct UnixSignal: Hashable, Sendable {
    public let rawValue: CInt

    public static let sigterm = UnixSignal(rawValue: SIGTERM)
    public static let sigint = UnixSignal(rawValue: SIGINT)
}
