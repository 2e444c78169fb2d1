using System.Globalization;

namespace SnapshotFlow.Stack.Processes;

/// <summary>A process that cannot be mistaken for another: process ids come back, the same id with the same start time does not.</summary>
/// <param name="Id">Process id.</param>
/// <param name="StartTicks">Start in clock ticks since boot. Source: proc(5), field 22 of <c>/proc/[pid]/stat</c>.</param>
public sealed record ProcessIdentity(int Id, long StartTicks)
{
    /// <summary>This process.</summary>
    public static ProcessIdentity Current() =>
        Find(Environment.ProcessId) ?? throw new StackException("/proc is not mounted; the development stack needs Linux with /proc");

    /// <summary>Who has this process id now; null for nobody.</summary>
    public static ProcessIdentity? Find(int id)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{id}/stat");
            // The second field is the program's name in parentheses and may contain anything; the third comes after the last ") ".
            var fields = stat[(stat.LastIndexOf(") ", StringComparison.Ordinal) + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : new ProcessIdentity(id, long.Parse(fields[19], CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException or IOException)
        {
            return null;
        }
    }

    /// <summary>Whether this very process still runs.</summary>
    public bool IsAlive() => Find(Id) == this;
}
