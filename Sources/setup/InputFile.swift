import TunnelIO
import TunnelPKI
import TunnelSetup

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
