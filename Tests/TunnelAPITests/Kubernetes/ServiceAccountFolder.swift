import Glibc

/// A folder as Kubernetes mounts it for a service account, or one file of it; removed after the test.
final class ServiceAccountFolder: Sendable {
    let folder: String
    var path: String { "\(folder)/token" }

    init(_ token: String, authority: String = "PEM", namespace: String = "tunnels") throws {
        var template = Array("/tmp/service-account-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileTrouble(number: errno) }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try write(token)
        try write(authority, to: "ca.crt")
        try write(namespace, to: "namespace")
    }

    deinit {
        for name in ["token", "ca.crt", "namespace"] { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }

    func remove(_ name: String) { unlink("\(folder)/\(name)") }

    func write(_ text: String, to name: String = "token") throws {
        let descriptor = open("\(folder)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard descriptor >= 0 else { throw FileTrouble(number: errno) }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count else {
            throw FileTrouble(number: errno)
        }
    }

    struct FileTrouble: Error {
        let number: CInt
    }
}
