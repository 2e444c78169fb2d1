using System.Globalization;

namespace SnapshotFlow.Bench.TemporalDev;

/// <summary>Processor time that each part of a measurement has used.</summary>
/// <param name="Database">Null when there is no database, or one that this program did not start.</param>
internal sealed record ProcessorTimes(TimeSpan Server, TimeSpan? Database, TimeSpan Worker, TimeSpan Client)
{
    public static ProcessorTimes operator -(ProcessorTimes after, ProcessorTimes before) =>
        new(after.Server - before.Server, after.Database - before.Database, after.Worker - before.Worker, after.Client - before.Client);

    public static ProcessorTimes operator +(ProcessorTimes one, ProcessorTimes other) =>
        new(one.Server + other.Server, one.Database + other.Database, one.Worker + other.Worker, one.Client + other.Client);

    public static ProcessorTimes operator /(ProcessorTimes sum, int parts) =>
        new(sum.Server / parts, sum.Database / parts, sum.Worker / parts, sum.Client / parts);

    /// <summary>
    /// Time of a process and its children, living and ended: PostgreSQL is a process per connection. Source: proc(5), /proc/pid/stat,
    /// fields 4 (parent), 14 to 17 (user and system time, of the process and of children that it has waited for), in ticks of 10 ms.
    /// </summary>
    public static TimeSpan OfFamily(int parent)
    {
        var ticks = 0L;
        foreach (var directory in Directory.EnumerateDirectories("/proc").Where(d => int.TryParse(Path.GetFileName(d), NumberStyles.None, CultureInfo.InvariantCulture, out _)))
        {
            string text;
            try
            {
                text = File.ReadAllText(Path.Combine(directory, "stat"));
            }
            catch (IOException)
            {
                // It has ended meanwhile; its parent has its time.
                continue;
            }

            // The second field is a name in parentheses and may hold anything.
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            if (fields[1] == parent.ToString(CultureInfo.InvariantCulture) || Path.GetFileName(directory) == parent.ToString(CultureInfo.InvariantCulture))
            {
                ticks += fields[11..15].Sum(field => long.Parse(field, CultureInfo.InvariantCulture));
            }
        }

        return TimeSpan.FromMilliseconds(10 * ticks);
    }
}
