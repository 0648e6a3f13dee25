import TunnelAPI
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelPKI
import TunnelSetup

/// One call of a command: its arguments and all that it may use of the outside.
struct Invocation: Sendable {
    let arguments: Arguments
    let environment: SetupEnvironment
    let console: Console
    let loop: Loop
    let stopwatch = Stopwatch()

    // MARK: Values

    /// The value of a flag or of its variable; an empty variable counts as not set.
    func value(_ flag: CommandFlag) -> String? {
        arguments[flag] ?? flag.variable.flatMap { environment[$0] }
    }

    func required(_ flag: CommandFlag) throws(UsageError) -> String {
        if let value = value(flag) { return value }
        throw UsageError("--\(flag.name)\(flag.variable.map { " or \($0)" } ?? "") is needed: \(flag.meaning)")
    }

    func duration(_ flag: CommandFlag, minimum: Duration = .zero) throws(UsageError) -> Duration? {
        guard let text = value(flag) else { return nil }
        let duration: Duration
        do throws(GoDurationError) { duration = try GoDuration(text).duration } catch {
            throw UsageError("--\(flag.name): \(error) (for example 2160h or 1h30m)")
        }
        guard duration >= minimum else {
            throw UsageError("--\(flag.name) must be at least \(GoDuration(clamping: minimum))")
        }
        return duration
    }

    func serverCertificate() throws(UsageError) -> ServerCertificateOptions {
        var options = ServerCertificateOptions()
        if let validity = try certificateValidity() { options.validity = validity }
        if let type = try keyType() { options.keyType = type }
        return options
    }

    func certificateValidity() throws(UsageError) -> Duration? { try duration(.certDuration, minimum: .seconds(60)) }

    func keyType() throws(UsageError) -> KeyType? {
        guard let text = value(.keyType) else { return nil }
        if let type = KeyType(rawValue: text) { return type }
        let known = KeyType.allCases.map(\.rawValue)
        let hint = nearestName(to: text, among: known).map { " (did you mean \($0)?)" }
        throw UsageError("--key-type is one of \(known.joined(separator: ", "))\(hint ?? "")")
    }

    func service() throws(UsageError) -> ServiceURL {
        let address = try required(.apiURL)
        do throws(ServiceURLError) { return try ServiceURL(address) } catch {
            throw UsageError("--api-url \(error)")
        }
    }

    func generation() throws(UsageError) -> APIGeneration? {
        guard let text = value(.apiGeneration) else { return nil }
        guard let known = Int(text).flatMap(APIGeneration.init(rawValue:)) else {
            throw UsageError("--api-generation is 1 or 2")
        }
        return known
    }

    /// Asks before something that cannot be undone, unless `--yes` was given.
    ///
    /// - Throws: ``Declined`` if anything but `name` is typed.
    func confirm(_ what: @autoclosure () async throws -> String, byTyping name: String) async throws {
        guard !arguments.has(.yes) else { return }
        guard try console.confirm(try await what(), byTyping: name) else { throw Declined() }
    }

    // MARK: The parts

    var patience: Patience { Patience(loop: loop, console: console) }

    var context: SetupContext {
        let (console, loop) = (console, loop)
        return SetupContext(
            now: SystemClock.now, pause: { await loop.pause($0) }, report: { console.note($0) })
    }

    /// - Throws: ``UsageError`` for what is missing or malformed in flags and environment.
    func client() throws -> TunnelsClient {
        let (service, generation) = (try service(), try generation())
        let credential: APICredential
        do throws(CredentialError) { credential = try environment.credential() } catch { throw UsageError("\(error)") }
        return TunnelsClient(
            service: service, credential: credential, generation: generation,
            transport: TimedTransport(
                transport: PatientTransport(
                    transport: HTTPSTransport(loop: loop, proxies: try environment.proxies()), patience: patience),
                stopwatch: stopwatch))
    }

    /// What the output holds; `nil` where none is named.
    func stored() async throws -> (contents: StoreContents, location: String)? {
        guard let place = try OutputPlace.chosen(arguments, environment) else { return nil }
        let store = try await place.open(for: .reading, self)
        do throws(StoreError) { return (try await store.load(), store.location) } catch {
            throw SetupError(error, at: store.location)
        }
    }

    /// The tunnel that is meant: by flag, variable or what is stored.
    func tunnelID() async throws -> String {
        if let id = value(.tunnelID) { return id }
        return try tunnelID(in: try await stored())
    }

    /// - Parameter stored: what the output holds.
    func tunnelID(in stored: (contents: StoreContents, location: String)?) throws(UsageError) -> String {
        if let id = value(.tunnelID) ?? stored?.contents.text(.tunnelID) { return id }
        throw UsageError("--tunnel-id, TUNNEL_ID or an --output that holds a tunnel is needed")
    }
}

/// The operator has not typed the name that was asked for. Nothing was changed.
struct Declined: Error, CustomStringConvertible {
    var description: String { "not confirmed, nothing was changed" }
}

/// Reads a file that the command line names, whole and within bounds.
enum InputFile {
    static func read(_ path: String) throws(SetupError) -> [UInt8] {
        do throws(FileError) { return try FileBytes.read(path, limit: StoreContents.maxValueBytes) } catch {
            throw SetupError(.certificate, "\(error)", remedy: "name a file with one certificate or key in PEM")
        }
    }
}

extension SetupError {
    static func unfit(_ path: String, _ findings: [Finding]) -> SetupError {
        SetupError(
            .certificate, "\(path) cannot be registered as a CA", remedy: "mend what is listed, and try again",
            findings: findings)
    }
}
