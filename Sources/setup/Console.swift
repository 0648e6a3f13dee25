import Glibc

/// Standard output for results, standard error for everything else.
struct Console: Sendable {
    /// One line of what is going on.
    func tell(_ line: String) { write(line + "\n", to: 2) }

    /// A result.
    func show(_ text: String) { write(text + "\n", to: 1) }

    /// Asks at the terminal for `name` to be typed.
    ///
    /// - Throws: when there is no terminal to ask at.
    func confirm(_ what: String, byTyping name: String) throws(UsageError) -> Bool {
        guard isatty(0) == 1, isatty(2) == 1 else {
            throw UsageError("there is no terminal to ask at: \(what) is done only with --yes")
        }
        write("\(what). Type \(name) to go on: ", to: 2)
        return readLine() == name
    }

    private func write(_ text: String, to descriptor: CInt) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
            }
        }
    }
}
