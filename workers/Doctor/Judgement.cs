using System.Globalization;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Workers.Doctor;

/// <summary>Which numbers are well and which are not.</summary>
public static class Judgement
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

    private static string Gib(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (1024.0 * 1024 * 1024):0.0} GiB");
}
