internal import TunnelCore
internal import TunnelIO

/// The identity provider's token, read where it comes from.
enum IdentityToken {
    /// The token endpoint's limit. What is longer is hardly a JWT but a key or a certificate, which must not be sent.
    static let maxBytes = 16_384
    /// What is read of a file at most. Only ``maxBytes`` and white space around them can be of use.
    static let maxFileBytes = 64 * 1024

    /// What is wrong with the token, in words that name the file and never its content.
    struct Failure: Error, Equatable {
        let reason: String
    }

    /// Blocks while a file is read.
    static func read(_ source: IdentityTokenSource) throws(Failure) -> Secret {
        let text: String
        let whose: String
        switch source {
        case .value(let secret): (text, whose) = (secret.reveal(), "identity token value")
        case .file(let path):
            guard !path.isEmpty else { throw Failure(reason: "identity token file path is empty") }
            whose = "identity token file \(quoted(path))"
            guard let content = String(validating: try bytes(of: path), as: UTF8.self) else {
                throw Failure(reason: "\(whose) is not text; a JWT is expected")
            }
            text = content
        }
        let token = trimmedToken(text)
        guard !token.isEmpty else { throw Failure(reason: "\(whose) is empty") }
        let count = token.utf8.count
        guard count <= maxBytes else {
            throw Failure(reason: "identity token exceeds \(maxBytes)-byte limit (got \(count) bytes)")
        }
        return Secret(token)
    }

    /// Redacted, because the variable for the path is where the token itself is put by mistake.
    private static func quoted(_ path: String) -> String { "\"\(Redaction([])(path))\"" }

    private static func bytes(of path: String) throws(Failure) -> [UInt8] {
        do throws(FileError) { return try FileBytes.read(path, limit: maxFileBytes) } catch {
            throw Failure(reason: "failed to read identity token file \(quoted(path)): \(error.cause)")
        }
    }
}
