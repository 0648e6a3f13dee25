/// A run that another one has overtaken: the store has changed since it was read, and what was decided upon is no longer so.
enum Overtaken {
    /// How often such a run begins anew, from what the other one has written.
    static let maxRestarts = 3

    /// Runs `body`, and again from the start where another run got ahead of it. Nothing of it was written then.
    static func retry<Value>(
        at location: String, _ context: SetupContext, _ body: () async throws(SetupError) -> Value
    ) async throws(SetupError) -> Value {
        var restarts = 0
        while true {
            do throws(SetupError) { return try await body() } catch {
                guard error.isOvertaken, restarts < maxRestarts else { throw error }
                restarts += 1
                context.report("another run has changed \(location) meanwhile; looking again")
            }
        }
    }
}
