import Synchronization

// What the snippets use of swift-service-lifecycle, in the same shape; here so that they compile without a network.

public protocol Service: Sendable {
    func run() async throws
}

/// Stands for a service group: asks what runs under it to end.
public final class GracefulShutdown: Sendable {
    @TaskLocal static var current: GracefulShutdown?
    private let state = Mutex<(hasBegun: Bool, handlers: [@Sendable () -> Void])>((false, []))

    public init() {}

    public func run(_ service: some Service) async throws {
        try await Self.$current.withValue(self) { try await service.run() }
    }

    public func begin() {
        let handlers = state.withLock { state in
            state.hasBegun = true
            return state.handlers
        }
        for handler in handlers { handler() }
    }

    fileprivate func add(_ handler: @escaping @Sendable () -> Void) {
        let isLate = state.withLock { state in
            if !state.hasBegun { state.handlers.append(handler) }
            return state.hasBegun
        }
        if isLate { handler() }
    }
}

public func withGracefulShutdownHandler<T>(
    operation: () async throws -> T, onGracefulShutdown handler: @Sendable @escaping () -> Void
) async rethrows -> T {
    GracefulShutdown.current?.add(handler)
    return try await operation()
}
