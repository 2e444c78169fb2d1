using System.Text;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Qga;
using SnapshotFlow.Model;
using static SnapshotFlow.Tests.Drivers.Qga.ScriptedAgent;

namespace SnapshotFlow.Tests.Drivers.Qga;

/// <summary>Everything an agent, or what stands between it and us, can do wrong.</summary>
public sealed class QgaGuestAgentTests
{
    private const string Thawed = """{"return": "thawed"}""", Frozen = """{"return": "frozen"}""";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    // ---- freezing and thawing

    [Fact]
    public async Task A_freeze_asks_the_status_before_and_after_and_counts_the_file_systems()
    {
        await using var agent = new ScriptedAgent().Answer(Thawed).Answer("""{"return": 4}""").Answer(Frozen);
        var before = TimeProvider.System.GetUtcNow();
        var freeze = await Driver(agent).FreezeAsync(Ct);
        Assert.Equal(4, freeze.FrozenFileSystems);
        Assert.InRange(freeze.At, before, TimeProvider.System.GetUtcNow());
        Assert.Equal(["guest-fsfreeze-status", "guest-fsfreeze-freeze", "guest-fsfreeze-status"], agent.Received);
    }

    [Fact]
    public async Task A_frozen_guest_is_not_frozen_again()
    {
        await using var agent = new ScriptedAgent().Answer(Frozen);
        await RefusedAsync(ErrorKind.StaleStatus, Driver(agent).FreezeAsync, "already");
        Assert.Equal(["guest-fsfreeze-status"], agent.Received);
    }

    [Fact]
    public async Task A_freeze_of_no_file_systems_is_no_freeze()
    {
        await using var agent = new ScriptedAgent().Answer(Thawed).Answer("""{"return": 0}""");
        await RefusedAsync(ErrorKind.BackendRefused, Driver(agent).FreezeAsync, "froze 0 file systems");
    }

    [Fact]
    public async Task A_freeze_that_the_status_denies_is_no_freeze()
    {
        await using var agent = new ScriptedAgent().Answer(Thawed).Answer("""{"return": 2}""").Answer(Thawed);
        await RefusedAsync(ErrorKind.BackendRefused, Driver(agent).FreezeAsync, "thawed");
    }

    [Fact]
    public async Task An_agents_error_is_passed_on_in_its_own_words()
    {
        await using var agent = new ScriptedAgent().Answer(Thawed).Answer("""{"error": {"class": "GenericError", "desc": "fsfreeze hook has failed with status 1"}}""");
        await RefusedAsync(ErrorKind.BackendRefused, Driver(agent).FreezeAsync, "GenericError: fsfreeze hook has failed with status 1");
    }

    [Fact]
    public async Task An_error_object_without_text_is_still_a_refusal()
    {
        await using var agent = new ScriptedAgent().Answer("""{"error": {}}""");
        await RefusedAsync(ErrorKind.BackendRefused, Driver(agent).StatusAsync, "no description");
    }

    [Fact]
    public async Task A_thaw_says_whether_the_guest_was_frozen()
    {
        await using var agent = new ScriptedAgent().Answer(Frozen).Answer("""{"return": 4}""").Answer(Thawed).Answer(Thawed).Answer("""{"return": 0}""").Answer(Thawed);
        var driver = Driver(agent);
        var first = await driver.ThawAsync(Ct);
        Assert.Equal((4, true), (first.ThawedFileSystems, first.WasFrozen));
        var second = await driver.ThawAsync(Ct);
        Assert.Equal((0, false), (second.ThawedFileSystems, second.WasFrozen));
    }

    [Fact]
    public async Task A_thawed_guest_is_thawed_in_any_case_because_an_agent_may_have_forgotten()
    {
        await using var agent = new ScriptedAgent().Answer(Thawed).Answer("""{"return": 3}""").Answer(Thawed);
        await Driver(agent).ThawAsync(Ct);
        Assert.Contains("guest-fsfreeze-thaw", agent.Received);
    }

    [Fact]
    public async Task A_thaw_that_leaves_the_guest_frozen_is_a_failure()
    {
        await using var agent = new ScriptedAgent().Answer(Frozen).Answer("""{"return": 1}""").Answer(Frozen);
        await RefusedAsync(ErrorKind.BackendRefused, Driver(agent).ThawAsync, "still frozen");
    }

    // ---- getting into step

    public static TheoryData<byte[]> StaleBytes => new(
        Line("""{"return": {}}"""),
        Line("""{"return": 5}{"error":"""),
        Encoding.UTF8.GetBytes("""{"return": {"version": "7.2"""),
        [Sentinel, .. Line("""{"return": 1}""")],
        [Sentinel, .. Line("""{"return": 1}"""), Sentinel, .. Line("""{"return": 2}"""), .. Line(Frozen)],
        [Sentinel, .. Encoding.UTF8.GetBytes("""{"return": 1""")],
        [Sentinel, Sentinel, Sentinel],
        [0, 1, 2, 200, 255, 10, 254, 10]);

    [Theory]
    [MemberData(nameof(StaleBytes))]
    public async Task Bytes_that_were_meant_for_somebody_else_are_dropped(byte[] stale)
    {
        await using var agent = new ScriptedAgent { Stale = stale }.Answer(Thawed);
        Assert.Equal(GuestFreezeStatus.Thawed, await Driver(agent).StatusAsync(Ct));
    }

    [Fact]
    public async Task The_answer_to_an_earlier_callers_sync_is_not_taken_for_ours()
    {
        await using var agent = new ScriptedAgent
        {
            OnSync = async (conversation, id) =>
            {
                await conversation.SendAsync([Sentinel, .. Line($"{{\"return\": {id - 1}}}"), .. Line(Frozen)]);
                await conversation.SendAsync([Sentinel, .. Line($"{{\"return\": {id}}}")]);
            },
        }.Answer(Thawed);
        Assert.Equal(GuestFreezeStatus.Thawed, await Driver(agent).StatusAsync(Ct));
    }

    [Fact]
    public async Task Answers_may_come_in_pieces()
    {
        await using var agent = new ScriptedAgent
        {
            OnSync = async (conversation, id) =>
            {
                foreach (var piece in (byte[])[Sentinel, .. Line($"{{\"return\": {id}}}")])
                {
                    await conversation.SendAsync([piece]);
                }
            },
        }.Then(async (conversation, _) =>
        {
            await conversation.SendAsync(Encoding.UTF8.GetBytes("""{"ret"""));
            await conversation.SendAsync(Encoding.UTF8.GetBytes("""urn": "fro"""));
            await conversation.SendAsync(Line("""zen"}"""));
        });
        Assert.Equal(GuestFreezeStatus.Frozen, await Driver(agent).StatusAsync(Ct));
    }

    [Fact]
    public async Task Every_conversation_has_another_sync_id()
    {
        var ids = new List<long>();
        await using var agent = new ScriptedAgent
        {
            OnSync = (conversation, id) =>
            {
                ids.Add(id);
                return conversation.SendAsync([Sentinel, .. Line($"{{\"return\": {id}}}")]);
            },
        }.Answer(Thawed).Answer(Thawed).Answer(Thawed);
        var driver = Driver(agent);
        await driver.StatusAsync(Ct);
        await driver.StatusAsync(Ct);
        await driver.StatusAsync(Ct);
        Assert.Equal(3, ids.Distinct().Count());
        Assert.All(ids, id => Assert.InRange(id, 1, int.MaxValue));
    }

    // ---- no answer, or none that can be understood

    [Fact]
    public async Task An_agent_that_never_answers_the_sync_ends_the_call_at_its_deadline()
    {
        await using var agent = new ScriptedAgent { OnSync = (_, _) => Task.CompletedTask };
        await RefusedAsync(ErrorKind.BackendUnavailable, Driver(agent, seconds: 0.2).StatusAsync, "no answer within 0.2 s");
    }

    [Fact]
    public async Task An_agent_that_hangs_in_the_freeze_ends_the_call_at_the_freeze_deadline_and_the_thaw_still_gets_through()
    {
        await using var agent = new ScriptedAgent().Answer(Thawed).Hang().Answer(Frozen).Answer("""{"return": 4}""").Answer(Thawed);
        var driver = new QgaGuestAgent(agent.Path, new() { FreezeTimeout = TimeSpan.FromSeconds(0.2), CallTimeout = TimeSpan.FromSeconds(20) }, TimeProvider.System);
        await RefusedAsync(ErrorKind.BackendUnavailable, driver.FreezeAsync, "no answer within 0.2 s");
        Assert.True((await driver.ThawAsync(Ct)).WasFrozen);
    }

    [Fact]
    public async Task An_agent_that_sends_without_end_ends_the_call_too()
    {
        await using var agent = new ScriptedAgent().Then(async (conversation, _) =>
        {
            var noise = new byte[64 * 1024];
            Array.Fill(noise, (byte)'x');
            while (true)
            {
                await conversation.SendAsync(noise);
            }
        });
        await RefusedAsync(ErrorKind.BackendUnavailable, Driver(agent).StatusAsync, "a line of more than");
    }

    [Fact]
    public async Task A_connection_that_closes_before_the_answer_leaves_the_outcome_unknown()
    {
        await using var agent = new ScriptedAgent().Answer(Thawed).Close();
        await RefusedAsync(ErrorKind.BackendUnavailable, Driver(agent).FreezeAsync, "closed before the answer");
    }

    [Fact]
    public async Task A_connection_that_closes_in_the_middle_of_an_answer_leaves_the_outcome_unknown()
    {
        await using var agent = new ScriptedAgent().Then(async (conversation, _) =>
        {
            await conversation.SendAsync(Encoding.UTF8.GetBytes("""{"return": "tha"""));
            conversation.Close();
        });
        await RefusedAsync(ErrorKind.BackendUnavailable, Driver(agent).StatusAsync, "closed before the answer");
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"return": 7}""")]
    [InlineData("""{"return": null}""")]
    [InlineData("""{"return": "melting"}""")]
    public async Task An_answer_that_cannot_be_understood_leaves_the_outcome_unknown(string answer)
    {
        await using var agent = new ScriptedAgent().Answer(answer);
        await RefusedAsync(ErrorKind.BackendUnavailable, Driver(agent).StatusAsync, "guest-fsfreeze-status");
    }

    [Theory]
    [InlineData("""{"return": "4"}""")]
    [InlineData("""{"return": -1}""")]
    [InlineData("""{"return": 4.5}""")]
    [InlineData("""{"return": {}}""")]
    public async Task A_count_that_is_none_leaves_the_outcome_unknown(string answer)
    {
        await using var agent = new ScriptedAgent().Answer(Thawed).Answer(answer);
        await RefusedAsync(ErrorKind.BackendUnavailable, Driver(agent).FreezeAsync, "number of file systems");
    }

    [Fact]
    public async Task A_socket_that_is_not_there_is_unavailable_and_named()
    {
        var path = Path.Join(Path.GetTempPath(), $"sf-{Guid.NewGuid():N}.sock");
        await RefusedAsync(ErrorKind.BackendUnavailable, new QgaGuestAgent(path, new(), TimeProvider.System).StatusAsync, path);
    }

    [Fact]
    public async Task A_call_that_is_cancelled_ends_as_cancelled()
    {
        await using var agent = new ScriptedAgent().Hang();
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var call = Driver(agent).StatusAsync(cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Driver(agent).FreezeAsync(new(canceled: true)));
    }

    [Fact]
    public async Task Callers_of_one_agent_queue_and_each_gets_its_own_answer()
    {
        var agent = new ScriptedAgent();
        await using var _ = agent;
        for (var i = 0; i < 20; i++)
        {
            agent.Answer(i % 2 == 0 ? Thawed : Frozen);
        }

        var driver = Driver(agent, seconds: 30);
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => driver.StatusAsync(Ct)));
        Assert.Equal(10, answers.Count(a => a == GuestFreezeStatus.Frozen));
    }

    // ---- probing

    [Fact]
    public async Task A_probe_says_what_the_agent_can()
    {
        await using var agent = new ScriptedAgent().Answer(Info(true, true, true)).Answer(Thawed);
        Assert.Equal(new GuestProbe(true, "7.2.22", true, GuestFreezeStatus.Thawed, null), await Driver(agent).ProbeAsync(Ct));
    }

    [Fact]
    public async Task A_frozen_guest_can_still_be_frozen_in_principle()
    {
        await using var agent = new ScriptedAgent().Answer(Info(freeze: false, true, true)).Answer(Frozen);
        Assert.Equal(new GuestProbe(true, "7.2.22", true, GuestFreezeStatus.Frozen, null), await Driver(agent).ProbeAsync(Ct));
    }

    [Theory]
    [InlineData(false, true, "guest-fsfreeze-freeze is disabled")]
    [InlineData(true, false, "guest-fsfreeze-thaw is disabled")]
    public async Task A_disabled_command_is_named(bool freeze, bool thaw, string reason)
    {
        await using var agent = new ScriptedAgent().Answer(Info(freeze, thaw, true)).Answer(Thawed);
        var probe = await Driver(agent).ProbeAsync(Ct);
        Assert.True(probe.Answers);
        Assert.False(probe.CanFreeze);
        Assert.Contains(reason, probe.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"return": {"version": "1.0", "supported_commands": [{"name": "guest-ping", "enabled": true}]}}""")]
    [InlineData("""{"return": {"version": "1.0"}}""")]
    public async Task An_agent_that_does_not_know_freezing_says_so(string info)
    {
        await using var agent = new ScriptedAgent().Answer(info);
        var probe = await Driver(agent).ProbeAsync(Ct);
        Assert.Equal((true, "1.0", false, null), (probe.Answers, probe.Version, probe.CanFreeze, probe.Status));
        Assert.Contains("does not know guest-fsfreeze-freeze", probe.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_probe_of_a_silent_agent_is_an_answer_and_not_a_failure()
    {
        await using var agent = new ScriptedAgent { OnSync = (_, _) => Task.CompletedTask };
        var probe = await Driver(agent, seconds: 0.2).ProbeAsync(Ct);
        Assert.Equal((false, null, false, null), (probe.Answers, probe.Version, probe.CanFreeze, probe.Status));
        Assert.Contains("no answer within", probe.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_probe_that_breaks_off_after_the_version_says_that_the_agent_answered()
    {
        await using var agent = new ScriptedAgent().Answer(Info(true, true, true)).Close();
        var probe = await Driver(agent).ProbeAsync(Ct);
        Assert.Equal((true, "7.2.22", false), (probe.Answers, probe.Version, probe.CanFreeze));
    }

    // ---- addresses

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("none")]
    public async Task A_server_without_an_agent_cannot_be_frozen_and_is_always_thawed(string? address)
    {
        var agent = Agents().Open(address);
        var probe = await agent.ProbeAsync(Ct);
        Assert.False(probe.Answers);
        Assert.NotNull(probe.Reason);
        await RefusedAsync(ErrorKind.BackendRefused, agent.FreezeAsync, "no guest agent");
        Assert.Equal(GuestFreezeStatus.Thawed, await agent.StatusAsync(Ct));
        Assert.False((await agent.ThawAsync(Ct)).WasFrozen);
    }

    [Theory]
    [InlineData("qga")]
    [InlineData("qga:tcp:host:1")]
    [InlineData("/run/qga.sock")]
    [InlineData("None")]
    [InlineData("libvirt:vm0")]
    public void An_address_of_an_unknown_kind_is_refused_with_the_kinds_there_are(string address)
    {
        var refusal = Assert.Throws<SnapshotFlowException>(() => Agents().Open(address));
        Assert.Equal(ErrorKind.InvalidRequest, refusal.Kind);
        Assert.Contains("qga:unix:/", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("qga:unix:")]
    [InlineData("qga:unix:relative.sock")]
    [InlineData("qga:unix:/run/\0")]
    [InlineData("qga:unix:/1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345")]
    public void A_path_that_cannot_be_a_sockets_is_refused(string address) =>
        Assert.Equal(ErrorKind.InvalidRequest, Assert.Throws<SnapshotFlowException>(() => Agents().Open(address)).Kind);

    [Fact]
    public void One_address_is_one_agent()
    {
        var agents = Agents();
        Assert.Same(agents.Open("qga:unix:/run/a"), agents.Open("qga:unix:/run/a"));
        Assert.NotSame(agents.Open("qga:unix:/run/a"), agents.Open("qga:unix:/run/b"));
    }

    [Fact]
    public void Wrong_deadlines_are_refused_with_their_keys()
    {
        var refusal = Assert.Throws<SnapshotFlowException>(() => new GuestAgents(new() { CallTimeout = TimeSpan.Zero, FreezeTimeout = TimeSpan.FromMinutes(2) }, TimeProvider.System, "G"));
        Assert.Contains("G:CallTimeout: ", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("G:FreezeTimeout: ", refusal.Message, StringComparison.Ordinal);
    }

    private static GuestAgents Agents() => new(new QgaOptions(), TimeProvider.System);

    private static QgaGuestAgent Driver(ScriptedAgent agent, double seconds = 20) =>
        new(agent.Path, new() { CallTimeout = TimeSpan.FromSeconds(seconds), FreezeTimeout = TimeSpan.FromSeconds(seconds) }, TimeProvider.System);

    private static string Info(bool freeze, bool thaw, bool status) => System.Text.Json.JsonSerializer.Serialize(new
    {
        @return = new
        {
            version = "7.2.22",
            supported_commands = new[]
            {
                new { name = "guest-ping", enabled = true }, new { name = "guest-fsfreeze-freeze", enabled = freeze },
                new { name = "guest-fsfreeze-thaw", enabled = thaw }, new { name = "guest-fsfreeze-status", enabled = status },
            },
        },
    });

    private static async Task RefusedAsync<T>(ErrorKind kind, Func<CancellationToken, Task<T>> call, string says)
    {
        var refusal = await Assert.ThrowsAsync<SnapshotFlowException>(() => call(Ct));
        Assert.True(kind == refusal.Kind, $"expected {kind}, got {refusal.Kind}: {refusal.Message}");
        Assert.Contains(says, refusal.Message, StringComparison.Ordinal);
    }
}
