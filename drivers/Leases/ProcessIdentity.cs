using System.Globalization;
using System.Text.Json.Serialization;
using SnapshotFlow.Drivers.File;
using IOFile = System.IO.File;

namespace SnapshotFlow.Drivers.Leases;

/// <summary>
/// A process of this host. The start time tells it from a later process of the same id. Processes that share a lease directory must share a process id
/// namespace too, and see each other in <c>/proc</c>.
/// </summary>
/// <param name="Id">Process id.</param>
/// <param name="StartedTicks">When it started, in clock ticks since boot. Source: proc(5), <c>/proc/[pid]/stat</c>, field 22.</param>
public readonly record struct ProcessIdentity(int Id, long StartedTicks)
{
    private const int ESRCH = 3;

    /// <summary>This process.</summary>
    public static ProcessIdentity Current { get; } = new(Environment.ProcessId, Look(Environment.ProcessId)!.Value.StartedTicks);

    /// <summary>Whether it runs, or may run again: a stopped process is alive, a zombie is not. What cannot be told counts as alive.</summary>
    [JsonIgnore]
    public bool IsAlive
    {
        get
        {
            try
            {
                return State is not (null or 'Z' or 'X');
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return true;
            }
        }
    }

    private char? State => Look(Id) is { } look && look.StartedTicks == StartedTicks ? look.State : null;

    /// <summary>
    /// Ends it by SIGKILL if somebody has stopped it (SIGSTOP, a debugger) while it had a connection to a unix socket: it keeps whoever is behind that socket from
    /// all others and does nothing with it. False when that is not so, or it is gone. A stopped process does not end by itself, so its id is not given to
    /// another between the look and the signal.
    /// </summary>
    /// <exception cref="IOException">It cannot be told, or is not permitted.</exception>
    public bool KillIfStoppedInConversation()
    {
        try
        {
            return State is 'T' or 't' && HasUnixConnection() && Libc.Kill(Id);
        }
        catch (ErrnoException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    /// <summary>As people know it.</summary>
    public override string ToString() => $"process {Id}";

    /// <summary>Its standard streams and their duplicates aside: they may lead to a log daemon. Source: proc(5), <c>/proc/[pid]/fd</c>; unix(7), <c>/proc/net/unix</c>.</summary>
    internal bool HasUnixConnection()
    {
        const string stream = "0001", connected = "03";
        const int type = 4, state = 5, inode = 6, withoutPath = 7;
        var directory = $"/proc/{Id}/fd";
        var streams = new[] { "0", "1", "2" }.Select(fd => new FileInfo(Path.Join(directory, fd)).LinkTarget);
        var open = Directory.EnumerateFiles(directory).Select(fd => new FileInfo(fd).LinkTarget).Except(streams).ToHashSet();
        return IOFile.ReadLines("/proc/net/unix")
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Any(f => f.Length == withoutPath && f[type] == stream && f[state] == connected && open.Contains($"socket:[{f[inode]}]"));
    }

    private static (char State, long StartedTicks)? Look(int id)
    {
        try
        {
            // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
            var text = IOFile.ReadAllText($"/proc/{id}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return (fields[0][0], long.Parse(fields[19], CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException || (e is IOException && e.HResult == ESRCH))
        {
            // ESRCH: it ended while the file was being read.
            return null;
        }
    }
}
