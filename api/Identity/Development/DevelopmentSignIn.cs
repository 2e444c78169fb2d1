using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity.Sessions;

namespace SnapshotFlow.Api.Identity.Development;

/// <summary>Signs users of the users file in.</summary>
internal sealed class DevelopmentSignIn(UserDirectory directory, DevelopmentTokens tokens) : ISignIn
{
    public bool HasDomains => false;

    public async Task<string> SignInAsync(Credentials credentials, CancellationToken ct)
    {
        var users = directory.Users;
        var user = users.All.FirstOrDefault(u => u.Name == credentials.User);
        if (!await directory.CheckAsync(user, credentials.Password, ct))
        {
            throw new Fault(StatusCodes.Status401Unauthorized, "User name or password is wrong.");
        }

        var project = credentials.Project is { } name ? users.Projects.FirstOrDefault(p => p.Name == name)
            : user!.DefaultProjectId is { } home ? users.Project(home)
            : user.Roles.Keys.ToList() is [var only] ? users.Project(only)
            : throw new Fault(StatusCodes.Status401Unauthorized, "Say which project: this user has none of its own.");
        if (project is not { Enabled: true } || !user!.Roles.ContainsKey(project.Id))
        {
            throw new Fault(StatusCodes.Status401Unauthorized, "This user has no role in that project.");
        }

        return (await tokens.IssueAsync(user, project, ["password"], parent: null, ct)).Token;
    }

    public Task SignOutAsync(string token, CancellationToken ct) => tokens.RevokeAsync(token, ct);
}
