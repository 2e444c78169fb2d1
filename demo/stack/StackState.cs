using System.Text.Json;
using SnapshotFlow.Stack.Processes;

namespace SnapshotFlow.Stack;

/// <summary>What a running stack writes down for <c>down</c> and for a second <c>up</c>.</summary>
/// <param name="Process">The program that started it.</param>
/// <param name="Api">Its HTTP address.</param>
/// <param name="Temporal">Its Temporal address.</param>
public sealed record StackAddress(ProcessIdentity Process, string Api, string Temporal);

/// <summary>The state directory of one stack, and the lock that keeps a second one out of it.</summary>
public sealed class StackState : IDisposable
{
    private const string LockName = "snapshotflow.lock";

    private readonly FileStream exclusion;

    private StackState(string directory, FileStream exclusion)
    {
        this.exclusion = exclusion;
        Directory = directory;
    }

    /// <summary>Absolute path.</summary>
    public string Directory { get; }

    /// <summary>Log files, one per process.</summary>
    public string Logs => Path.Combine(Directory, "log");

    private static string RunningFile(string directory) => Path.Combine(directory, "stack.json");

    /// <summary>Makes the directory if needed and takes it.</summary>
    /// <exception cref="StackException">Another stack has it; the message says which and where.</exception>
    public static StackState Take(string path, bool fresh)
    {
        var directory = Path.GetFullPath(path);
        FileStream exclusion;
        try
        {
            System.IO.Directory.CreateDirectory(directory);
            var mark = Path.Combine(directory, LockName);
            if (!File.Exists(mark) && System.IO.Directory.EnumerateFileSystemEntries(directory).Any())
            {
                // What is in here may be cleared later: it must be ours.
                throw new StackException($"{directory} is not empty and was not made by SnapshotFlow; give a directory that is new or empty: --state DIR");
            }
            exclusion = new FileStream(mark, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new StackException($"cannot write to {directory}; give another one: --state DIR", e);
        }
        catch (IOException e)
        {
            throw new StackException(
                FindRunning(directory) is { } other
                    ? $"a stack is already running in {directory}: process {other.Process.Id}, API {other.Api}, Temporal {other.Temporal}. Stop it (./snapshotflow down, or Ctrl-C where it runs), or give another directory: --state DIR"
                    : $"a stack is starting or stopping in {directory}; try again, or give another directory: --state DIR", e);
        }
        if (fresh)
        {
            Clear(directory);
        }
        if (Environment.IsPrivilegedProcess)
        {
            // PostgreSQL, running as another user, must get through to its own directory. What is secret in here has a mode of its own.
            File.SetUnixFileMode(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        }
        var state = new StackState(directory, exclusion);
        System.IO.Directory.CreateDirectory(state.Logs);
        return state;
    }

    /// <summary>The stack that runs in a directory; null for none.</summary>
    public static StackAddress? FindRunning(string directory)
    {
        try
        {
            return JsonSerializer.Deserialize<StackAddress>(File.ReadAllText(RunningFile(directory))) is { } running && running.Process.IsAlive() ? running : null;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Makes and returns a directory in here.</summary>
    public string Subdirectory(params string[] names) => System.IO.Directory.CreateDirectory(Path.Combine([Directory, .. names])).FullName;

    /// <summary>Tells others that the stack is up.</summary>
    public Task PublishAsync(StackAddress running, CancellationToken ct) => SecretFile.WriteAsync(RunningFile(Directory), JsonSerializer.Serialize(running), ct);

    /// <summary>Gives the directory back.</summary>
    public void Dispose()
    {
        File.Delete(RunningFile(Directory));
        exclusion.Dispose();
    }

    private static void Clear(string directory)
    {
        foreach (var entry in new DirectoryInfo(directory).EnumerateFileSystemInfos().Where(e => e.Name != LockName))
        {
            if (entry is DirectoryInfo { LinkTarget: null } tree)
            {
                tree.Delete(recursive: true);
            }
            else
            {
                entry.Delete();
            }
        }
    }
}
