import Glibc
import TunnelAPI
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelSetup

/// Looks for all that is wrong with the settings of a call, as far as it can be told without the network and without a
/// change: who sets a host up for the first time hears of everything in one run.
///
/// Flags and variables are read by the functions that the commands themselves use. One exists so that all of them are tried,
/// where a command ends with the first that fails.
struct SettingsReview {
    private let command: SetupCommand
    private let invocation: Invocation
    /// Whether the folder is looked into.
    private let isThorough: Bool
    private var problems: [SettingsError.Problem] = []

    private init(_ command: SetupCommand, _ invocation: Invocation, isThorough: Bool) {
        (self.command, self.invocation, self.isThorough) = (command, invocation, isThorough)
    }

    /// - Throws: ``UsageError`` for the only one that there is, ``SettingsError`` for several. A single file that cannot be
    ///   used is for the command to report.
    static func run(_ command: SetupCommand, _ invocation: Invocation) throws {
        // The folder of a call that is in order is read once, by the command.
        guard !problems(command, invocation, isThorough: false).isEmpty else { return }
        let problems = problems(command, invocation, isThorough: true)
        guard problems.count == 1 else { throw SettingsError(problems) }
        if case .usage(let error) = problems[0] { throw error }
    }

    /// In the order of the command's flags, which is that of the documentation; then the environment.
    private static func problems(
        _ command: SetupCommand, _ invocation: Invocation, isThorough: Bool
    ) -> [SettingsError.Problem] {
        var review = SettingsReview(command, invocation, isThorough: isThorough)
        for flag in command.flags { review.look(at: flag) }
        for operand in invocation.arguments.operands where command.name == "certs add" { review.lookAtFile(operand) }
        if review.asksAPI { review.lookAtIdentity() }
        return review.problems
    }

    private mutating func look(at flag: CommandFlag) {
        switch flag.name {
        case CommandFlag.apiURL.name where asksAPI: usage { try $0.service() }
        case CommandFlag.apiGeneration.name where asksAPI: usage { try $0.generation() }
        case CommandFlag.tunnelID.name where needsTunnelID: usage { try $0.tunnelID(in: nil) }
        case CommandFlag.output.name: lookAtOutput()
        case CommandFlag.outputOwner.name: usage { try OutputPlace.owner($0.arguments) }
        case CommandFlag.certDuration.name: usage { try $0.certificateValidity() }
        case CommandFlag.keyType.name: usage { try $0.keyType() }
        case GenerateCertsCommand.domain.name where command.name == GenerateCertsCommand.command.name:
            usage { try GenerateCertsCommand.domain($0) }
        case _ where flag.value == "DURATION": usage { try $0.duration(flag) }
        case _ where flag.value == "FILE": if let path = invocation.value(flag) { lookAtFile(path) }
        default: break
        }
    }

    // MARK: What the command does

    private var asksAPI: Bool {
        guard command.flags.contains(.apiURL) else { return false }
        return command.name != VerifyCommand.command.name || VerifyCommand.asksAPI(invocation)
    }

    /// No output is there that could hold it; one whose form is wrong is reported as that.
    private var needsTunnelID: Bool {
        let needs =
            command.flags.contains { $0.name == CommandFlag.output.name } && access == .reading
            || command.path.first == "token"
        guard needs, !namesTunnel else { return false }
        do { return try OutputPlace.chosen(invocation.arguments, invocation.environment) == nil } catch { return false }
    }

    private var namesTunnel: Bool {
        command.name == "tunnels get" && !invocation.arguments.operands.isEmpty
    }

    private var access: OutputPlace.Access {
        switch command.name {
        case "init": invocation.arguments.has(.dryRun) ? .planning : .making
        case "generate-certs": .making
        case "renew-cert", "rotate-ca", "token reveal", "token rotate": .changing
        default: .reading
        }
    }

    // MARK: Parts

    private mutating func lookAtOutput() {
        let isVerify = command.name == VerifyCommand.command.name
        if isVerify { problems += VerifyCommand.misuses(invocation).map { .usage($0) } }
        let isNeeded = ["init", "generate-certs", "renew-cert", "rotate-ca"].contains(command.name)
        var place: OutputPlace?
        do throws(UsageError) {
            place = try OutputPlace.chosen(invocation.arguments, invocation.environment)
            if isNeeded { place = try OutputPlace.required(invocation) }
        } catch { add(.usage(error)) }
        // Who names the tunnel has these look into no output.
        let looksElsewhere = ["tunnels get", "certs add"].contains(command.name) && invocation.value(.tunnelID) != nil
        guard isThorough, let place, !namesTunnel, !looksElsewhere else { return }
        if isVerify, VerifyCommand.namesFiles(invocation) { return }
        if let obstacle = place.obstacle(to: access, invocation) { add(.failure(obstacle)) }
    }

    private mutating func lookAtIdentity() {
        for error in invocation.environment.credentialErrors() { add(.usage(UsageError("\(error)"))) }
        usage { try $0.environment.proxies() }
        guard let token = invocation.environment.identityToken else { return }
        if case .file(let path) = token, Self.isSpecial(path) { return }
        if let error = token.error(for: "authenticate", now: SystemClock.now()) { add(.failure(SetupError(error))) }
    }

    private mutating func lookAtFile(_ path: String) {
        guard !Self.isSpecial(path) else { return }
        do throws(SetupError) { _ = try InputFile.read(path) } catch { add(.failure(error)) }
    }

    /// What is no regular file, such as a pipe, may be read but once. A folder is none at all.
    private static func isSpecial(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG && status.st_mode & S_IFMT != S_IFDIR
    }

    private mutating func usage(_ read: (Invocation) throws -> some Any) {
        do { _ = try read(invocation) } catch let error as UsageError { add(.usage(error)) } catch {}
    }

    /// One mistake may show at two flags.
    private mutating func add(_ problem: SettingsError.Problem) {
        if !problems.contains(problem) { problems.append(problem) }
    }
}
