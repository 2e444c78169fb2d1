using SnapshotFlow.Model;
using Temporalio.Activities;

namespace SnapshotFlow.Workflows.Contracts;

/// <summary>What a worker can say about the machine it runs on, on the task queue of its host, <see cref="Names.ComputeQueue"/>, or back end, <see cref="Names.VolumeQueue"/>.</summary>
public interface IExaminationActivities
{
    /// <summary>Looks, and changes nothing.</summary>
    [Activity]
    Task<PlaceFacts> ExamineAsync();
}

/// <summary>How a host or a back end is.</summary>
/// <param name="Now">By the wall clock of the worker's machine.</param>
/// <param name="Guard">The freeze guard; null for a back end.</param>
/// <param name="BackendProblem">Why the back end cannot be used; null when it can, and for a host.</param>
/// <param name="Disk">The file system that leases or volumes are on; null where they are on none of this machine's.</param>
public sealed record PlaceFacts(DateTimeOffset Now, GuardFacts? Guard, string? BackendProblem, DiskFacts? Disk);

/// <summary>The freeze guard of a host.</summary>
/// <param name="Doubt">Why no guest may be frozen there; null while a guard is alive.</param>
/// <param name="Open">Leases that are open now.</param>
/// <param name="Overdue">Guests past their deadline without a confirmed thaw.</param>
/// <param name="Unreadable">Files among the leases that are none.</param>
public sealed record GuardFacts(string? Doubt, int Open, int Overdue, int Unreadable);

/// <summary>Space on a file system.</summary>
/// <param name="Path">What is on it.</param>
/// <param name="FreeBytes">That the worker may still write.</param>
/// <param name="TotalBytes">Its size.</param>
public sealed record DiskFacts(string Path, long FreeBytes, long TotalBytes);
