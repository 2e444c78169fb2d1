using System.Diagnostics;
using System.Globalization;
using SnapshotFlow.Drivers.Qemu;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Qemu;

/// <summary>
/// A QEMU without a machine that has volumes open as a running guest has, and through which tests write: what a driver sees over QMP is the same. The class of
/// tests is skipped where the programs are missing.
/// </summary>
internal sealed class QemuProcess : IAsyncDisposable
{
    private readonly Process process;
    private readonly string control;
    private readonly string root;
    private readonly Lock gate = new();
    private readonly HashSet<VolumeId> open = [];

    private QemuProcess(Process process, string root, string control)
    {
        this.process = process;
        this.root = root;
        this.control = control;
    }

    /// <summary>Why there is nothing to test with; null when there is.</summary>
    public static string? Missing { get; } = Program("qemu-system-x86_64") is null ? "no QEMU on this machine: apt-get install qemu-system-x86"
        : Program("qemu-img") is null ? "no qemu-img on this machine: apt-get install qemu-utils"
        : null;

    /// <summary>Starts it; its socket for the driver lies in <c>qmp</c> below the root.</summary>
    public static async Task<QemuProcess> StartAsync(string root, CancellationToken ct)
    {
        var (sockets, control) = (Directory.CreateDirectory(Path.Join(root, "qmp")).FullName, Path.Join(root, "control.sock"));
        string[] arguments =
        [
            "-machine", "none", "-nodefaults", "-display", "none",
            "-chardev", $"socket,id=driver,path={Path.Join(sockets, "guest.sock")},server=on,wait=off", "-mon", "chardev=driver,mode=control",
            "-chardev", $"socket,id=control,path={control},server=on,wait=off", "-mon", "chardev=control,mode=control",
        ];
        var process = Process.Start(new ProcessStartInfo("qemu-system-x86_64", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        // It says something for every write; nobody wants to read it, and a full pipe would stop it.
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        var started = new QemuProcess(process, root, control);
        try
        {
            await started.ReadyAsync(sockets, ct);
            return started;
        }
        catch
        {
            await started.DisposeAsync();
            throw;
        }
    }

    private async Task ReadyAsync(string sockets, CancellationToken ct)
    {
        while (!System.IO.File.Exists(control) || !System.IO.File.Exists(Path.Join(sockets, "guest.sock")))
        {
            ct.ThrowIfCancellationRequested();
            Assert.False(process.HasExited, "QEMU ended at once");
            ct.WaitHandle.WaitOne(10);
        }

        // The file is there before anybody listens.
        for (var listening = false; !listening; ct.WaitHandle.WaitOne(10))
        {
            try
            {
                using var first = await QmpConnection.OpenAsync(control, ct);
                listening = true;
            }
            catch (System.Net.Sockets.SocketException)
            {
                ct.ThrowIfCancellationRequested();
                Assert.False(process.HasExited, "QEMU ended at once");
            }
        }
    }

    /// <summary>Opens a volume, as the start of a guest would; from then on it is written to through QEMU.</summary>
    public void Attach(VolumeId volume)
    {
        lock (gate)
        {
            if (open.Add(volume))
            {
                Ask("blockdev-add", new Dictionary<string, object>
                {
                    ["driver"] = "qcow2",
                    ["node-name"] = Node(volume),
                    ["file"] = new Dictionary<string, object> { ["driver"] = "file", ["filename"] = PathOf(volume) },
                });
            }
        }
    }

    public void Write(VolumeId volume, long offset, ReadOnlySpan<byte> bytes)
    {
        lock (gate)
        {
            // The file of a volume that was deleted and made again is another one.
            if (open.Contains(volume) && !SameFile(volume))
            {
                Ask("blockdev-del", new Dictionary<string, object> { ["node-name"] = Node(volume) });
                open.Remove(volume);
            }

            Attach(volume);
            var pattern = Path.Join(root, "pattern");
            System.IO.File.WriteAllBytes(pattern, bytes);
            var line = string.Format(CultureInfo.InvariantCulture, "qemu-io {0} \"write -s {1} {2} {3}\"", Node(volume), pattern, offset, bytes.Length);
            var said = Ask("human-monitor-command", new Dictionary<string, object> { ["command-line"] = line }).ToString();
            Assert.DoesNotContain("error", said, StringComparison.OrdinalIgnoreCase);
            inodes[volume] = Inode(volume);
        }
    }

    /// <summary>Reads a volume as it is now, whoever has it open.</summary>
    public byte[] Read(VolumeId volume, long offset, int count)
    {
        lock (gate)
        {
            if (open.Contains(volume))
            {
                Ask("human-monitor-command", new Dictionary<string, object> { ["command-line"] = $"qemu-io {Node(volume)} flush" });
            }
        }

        var raw = Path.Join(root, $"read-{Guid.NewGuid():N}");
        using (var convert = Process.Start("qemu-img", ["convert", "-U", "-f", "qcow2", "-O", "raw", PathOf(volume), raw]))
        {
            convert.WaitForExit();
            Assert.Equal(0, convert.ExitCode);
        }

        using var file = System.IO.File.OpenHandle(raw, options: FileOptions.DeleteOnClose);
        var bytes = new byte[count];
        Assert.Equal(count, RandomAccess.Read(file, bytes, offset));
        return bytes;
    }

    /// <summary>Makes it answer nothing more, or answer again.</summary>
    public void Stop(bool stopped) => Process.Start("kill", [stopped ? "-STOP" : "-CONT", process.Id.ToString(CultureInfo.InvariantCulture)])!.WaitForExit();

    public async ValueTask DisposeAsync()
    {
        Stop(false);
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }

    private readonly Dictionary<VolumeId, string> inodes = [];

    private bool SameFile(VolumeId volume) => !inodes.TryGetValue(volume, out var inode) || inode == Inode(volume);

    private string Inode(VolumeId volume)
    {
        using var stat = Process.Start(new ProcessStartInfo("stat", ["-c", "%i", PathOf(volume)]) { RedirectStandardOutput = true })!;
        return stat.StandardOutput.ReadToEnd();
    }

    private System.Text.Json.JsonElement Ask(string command, object arguments)
    {
        var asking = Task.Run(async () =>
        {
            using var connection = await QmpConnection.OpenAsync(control, CancellationToken.None);
            return await connection.ExecuteAsync(command, arguments, CancellationToken.None);
        });
        asking.Wait();
        return asking.GetAwaiter().GetResult();
    }

    private string PathOf(VolumeId volume) => Path.Join(root, "store", "volumes", Names.Volume(volume));

    /// <summary>QEMU's names have 31 characters at most.</summary>
    private static string Node(VolumeId volume) => "v" + volume.ToString().Replace("-", "", StringComparison.Ordinal)[..28];

    private static string? Program(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(d => Path.Join(d, name)).FirstOrDefault(System.IO.File.Exists);
}
