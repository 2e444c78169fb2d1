namespace SnapshotFlow.Drivers.Qemu;

/// <summary>Configuration of a back end with the driver <c>qemu</c>, section <c>Qemu</c> of <see cref="VolumeBackendOptions"/>.</summary>
public sealed class QemuOptions
{
    /// <summary>
    /// Absolute path of the directory with the QMP sockets of this host's guests, one per guest, for this driver alone: QEMU serves one client per
    /// socket (<c>-chardev socket,id=qmp,path=…,server=on,wait=off -mon chardev=qmp,mode=control</c>). Required.
    /// </summary>
    public string QmpDirectory { get; set; } = "";

    /// <summary>Longest wait for the answers of one guest, waiting for the socket included, 100 ms to 5 min. Default 5 s.</summary>
    public TimeSpan QmpTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>The program for volumes of stopped guests; looked for on the <c>PATH</c> when it has no slash. Default <c>qemu-img</c>.</summary>
    public string QemuImg { get; set; } = "qemu-img";

    /// <summary>Everything that is wrong, one message per key, each beginning with the key's path; empty when it can work.</summary>
    /// <param name="section">Configuration path of these options, without the trailing colon.</param>
    public IReadOnlyList<string> Validate(string section)
    {
        var wrong = new List<string>();
        if (!Path.IsPathFullyQualified(QmpDirectory))
        {
            wrong.Add($"{section}:{nameof(QmpDirectory)}: '{QmpDirectory}' is not an absolute path; it is the directory with the guests' QMP sockets");
        }

        if (QmpTimeout < TimeSpan.FromMilliseconds(100) || QmpTimeout > TimeSpan.FromMinutes(5))
        {
            wrong.Add($"{section}:{nameof(QmpTimeout)}: '{QmpTimeout}' is not 00:00:00.1 to 00:05:00");
        }

        if (QemuImg.Length == 0)
        {
            wrong.Add($"{section}:{nameof(QemuImg)}: is empty; it is the name or path of the program qemu-img");
        }

        return wrong;
    }
}
