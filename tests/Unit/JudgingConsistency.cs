using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Unit;

public sealed class JudgingConsistency
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly FreezeTruth Held = new(Noon, Noon.AddSeconds(1), HeldThroughout: true, LeaseExpired: false, null);

    [Fact]
    public void A_server_that_was_not_running_is_offline_consistent_whatever_else_is_known() =>
        Assert.Equal(Consistency.Offline, ConsistencyVerdict.Judge(false, null, null, [Cut(instant: false)]).Consistency);

    [Fact]
    public void A_freeze_held_throughout_and_confirmed_by_the_thaw_is_application_consistent_even_with_a_copying_back_end() =>
        Assert.Equal(Consistency.Application, ConsistencyVerdict.Judge(true, Held, null, [Cut(), Cut(instant: false)]).Consistency);

    public static TheoryData<string, FreezeTruth?, string?> Doubts => new()
    {
        { "no freeze was tried", null, null },
        { "the freeze failed", Held, "the freeze failed: no" },
        { "the freeze was never confirmed", Held with { FrozenAt = null }, null },
        { "the thaw was never confirmed", Held with { ThawedAt = null }, null },
        { "the guest was thawed early", Held with { HeldThroughout = false }, null },
        { "the lease expired", Held with { LeaseExpired = true }, null },
        { "the agent reported trouble", Held with { AgentError = "VSS" }, null },
    };

    [Theory]
    [MemberData(nameof(Doubts))]
    public void Any_doubt_about_the_freeze_ends_in_crash_with_a_reason_and_in_none_when_a_volume_was_copied(string why, FreezeTruth? freeze, string? notFrozenBecause)
    {
        var crash = ConsistencyVerdict.Judge(true, freeze, notFrozenBecause, [Cut(), Cut()]);
        var none = ConsistencyVerdict.Judge(true, freeze, notFrozenBecause, [Cut(), Cut(instant: false)]);

        Assert.True(crash.Consistency is Consistency.Crash && !string.IsNullOrEmpty(crash.Reason), why);
        Assert.True(none.Consistency is Consistency.None && none.Reason!.StartsWith(crash.Reason!, StringComparison.Ordinal), why);
    }

    [Fact]
    public void The_skew_is_the_time_from_the_first_cut_to_the_last_and_zero_for_one_volume()
    {
        var evidence = ConsistencyVerdict.Judge(true, Held, null, [Cut(at: 30), Cut(at: 10), Cut(at: 55)]);

        Assert.Equal(TimeSpan.FromMilliseconds(45), evidence.CutSkew);
        Assert.Equal(TimeSpan.Zero, (evidence with { Cuts = [Cut()] }).CutSkew);
        Assert.Equal(TimeSpan.FromSeconds(1), evidence.Freeze);
    }

    private static VolumeCut Cut(bool instant = true, int at = 0)
    {
        var when = Noon.AddMilliseconds(at);
        return new(VolumeId.New(), SnapshotId.New(), when, when, when, 1 << 30, instant);
    }
}
