using System.Globalization;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Workers.Doctor;

/// <summary>What is well and what is not, of what the looks have seen; it looks at nothing itself.</summary>
public static partial class Judgement
{
    /// <summary>No verdict and no freeze deadline depends on two machines' clocks (decision 4). The times that are recorded and shown do, and tokens end by them.</summary>
    private static readonly TimeSpan ClockWarning = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ClockError = TimeSpan.FromMinutes(1);

    private const double DiskWarningShare = 0.10;
    private const long DiskErrorBytes = 256L * 1024 * 1024;

    /// <summary>A clock that said a time which is known to lie between two times of another one.</summary>
    /// <param name="whose">Whose clock.</param>
    /// <param name="reference">The other one.</param>
    /// <param name="said">What it said.</param>
    /// <param name="notBefore">When it was asked, by the other one.</param>
    /// <param name="notAfter">When it had answered, by the other one.</param>
    public static Diagnosis Clock(string whose, string reference, DateTimeOffset said, DateTimeOffset notBefore, DateTimeOffset notAfter)
    {
        var off = said < notBefore ? notBefore - said : said > notAfter ? said - notAfter : TimeSpan.Zero;
        var uncertain = (notAfter - notBefore).TotalMilliseconds;
        if (off < ClockWarning)
        {
            return Diagnosis.Ok("clocks", whose, string.Create(CultureInfo.InvariantCulture, $"agrees with {reference}, as far as an answer within {uncertain:0} ms can tell"));
        }

        var found = string.Create(CultureInfo.InvariantCulture, $"at least {off.TotalSeconds:0.00} s {(said < notBefore ? "behind" : "ahead of")} {reference}");
        const string advice = "synchronise the clocks (chrony): recorded times contradict each other, and tokens end too early or too late";
        return off < ClockError ? Diagnosis.Warning("clocks", whose, found, advice) : Diagnosis.Error("clocks", whose, found, advice);
    }

    /// <summary>Space that leases or volumes are written to.</summary>
    public static Diagnosis Disk(string place, DiskFacts disk)
    {
        var found = string.Create(CultureInfo.InvariantCulture, $"{Gib(disk.FreeBytes)} of {Gib(disk.TotalBytes)} free at {disk.Path}");
        return disk.FreeBytes < DiskErrorBytes ? Diagnosis.Error("disk", place, found, "make space now: without it nothing can be frozen or cut there")
            : disk.FreeBytes < DiskWarningShare * disk.TotalBytes ? Diagnosis.Warning("disk", place, found, "make space, or give it more, before snapshots fail")
            : Diagnosis.Ok("disk", place, found);
    }

    /// <summary>A host or a back end, by what its own worker says of it.</summary>
    public static IEnumerable<Diagnosis> Place(ExaminedPlace place)
    {
        if (place.Facts is not { } facts)
        {
            yield return Diagnosis.Error("pollers", place.Queue, $"its worker does not answer: {place.Silence}", $"see what the {Role(place.Queue)} logs; one of an older version does not know the question");
            yield break;
        }

        yield return Clock(place.Queue, "Temporal", facts.Now, place.AskedAt, place.AnsweredAt);
        if (facts.Guard is { } guard)
        {
            yield return guard switch
            {
                { Doubt: { } doubt } => Diagnosis.Error("guards", place.Queue, doubt, "start snapshotflow-guard on that host; until then no guest of it is frozen"),
                { Overdue: > 0 } => Diagnosis.Error("guards", place.Queue, $"{guard.Overdue} guests are past their deadline and not thawed", "see the runbook, \"Guest frozen\""),
                { Unreadable: > 0 } => Diagnosis.Warning("guards", place.Queue, $"{guard.Unreadable} files among the leases are none", "see the runbook, \"Lease that cannot be read\""),
                _ => Diagnosis.Ok("guards", place.Queue, $"alive, {guard.Open} guests under a lease"),
            };
        }
        else
        {
            yield return facts.BackendProblem is { } problem
                ? Diagnosis.Error("drivers", place.Queue, problem, "correct Volume__Backends of that worker, or bring the back end up")
                : Diagnosis.Ok("drivers", place.Queue, "configured, and the back end can be used");
        }

        if (facts.Disk is { } disk)
        {
            yield return Disk(place.Queue, disk);
        }
    }

    private static string Role(string queue) => queue == Names.ControlQueue ? "control worker" : queue.StartsWith("compute.", StringComparison.Ordinal) ? "compute worker of that host" : "volume worker of that back end";

    private static string Gib(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (1024.0 * 1024 * 1024):0.0} GiB");
}
