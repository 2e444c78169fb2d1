using System.Text.Json;

namespace SnapshotFlow.Stack.Demo;

/// <summary>What the demo found, in the shape of <c>--json FILE</c>.</summary>
internal sealed record DemoReport(
    ImageReport Image, string Consistency, double FreezeMs, double CutSkewMs, WitnessReport Witness, CrashResumeReport CrashResume, CompensationReport Compensation)
{
    private static readonly JsonSerializerOptions Format = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public string ToJson() => JsonSerializer.Serialize(this, Format);
}

/// <summary>The image of the first step.</summary>
internal sealed record ImageReport(string Id, string Status, int Volumes);

/// <summary>What the guest's own numbers say about the restored volumes.</summary>
internal sealed record WitnessReport(bool Consistent, int Disks);

/// <summary>The image whose run lost its worker between freeze and thaw.</summary>
internal sealed record CrashResumeReport(string Killed, string ImageStatus, int DuplicateSnapshots, bool WitnessConsistent);

/// <summary>What the failed run left.</summary>
internal sealed record CompensationReport(int LeftoverSnapshots, int LeftoverImages, long QuotaLeaked, bool GuestFrozen);
